/* Makes system calls that hosted programs may not make (under the filter all of them are refused
 * before they do anything; see main), and prints what each said: "name errno".
 * What an ordinary program does is tried too: "works". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void try_call(const char *name, long number, long a, long b, long c, long d) {
    errno = 0;
    long result = syscall(number, a, b, c, d, 0L, 0L);
    if (result == 0 && number == SYS_clone) _exit(0);
    printf("%s %d\n", name, result < 0 ? errno : 0);
    fflush(stdout);
}

static void *thread(void *unused) { return unused; }

static int ordinary(void) {
    pthread_t threads[16];
    for (int i = 0; i < 16; i++)
        if (pthread_create(&threads[i], NULL, thread, NULL)) return 1;
    for (int i = 0; i < 16; i++) pthread_join(threads[i], NULL);
    if (system("exit 7") >> 8 != 7) return 2;
    struct addrinfo *found = NULL;
    if (getaddrinfo("127.0.0.1", "80", NULL, &found)) return 3;
    freeaddrinfo(found);
    int ends[2];
    if (pipe(ends) || write(ends[1], "x", 1) != 1) return 4;
    FILE *file = tmpfile();
    char name[] = "/dev/shm/file-XXXXXX";
    if (!file && mkstemp(name) < 0) return 5;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) return 6;
    if (unshare(CLONE_FILES | CLONE_FS)) return 7;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal)) return 8;
    return 0;
}

/* Without the filter: only calls that change nothing for anybody. */
static int without_filter(void) {
    try_call("clone-user", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0);
    try_call("clone3", 435, 0, 0, 0, 0);
    try_call("netfilter", SYS_socket, AF_NETLINK, SOCK_RAW, 12, 0);
    try_call("open_tree", 428, -1, 0, 0, 0);
    try_call("open_tree_attr", 467, -1, 0, 0, 0);
    try_call("fsopen", 430, 0, 0, 0, 0);
    try_call("mount", SYS_mount, 0, 0, 0, 0);
    try_call("next-call", 500, 0, 0, 0, 0);
    return 0;
}

int main(int count, char **words) {
    if (count > 1 && !strcmp(words[1], "without-filter")) return without_filter();
#define TRY(name, ...) try_call(#name, SYS_##name, __VA_ARGS__)
    try_call("clone-user", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0);
    try_call("unshare-user", SYS_unshare, CLONE_NEWUSER, 0, 0, 0);
    try_call("unshare-net", SYS_unshare, CLONE_NEWNET, 0, 0, 0);
    try_call("unshare-time", SYS_unshare, 0x80, 0, 0, 0);
    try_call("clone3", 435, 0, 0, 0, 0);
    try_call("netfilter", SYS_socket, AF_NETLINK, SOCK_RAW, 12, 0);
    try_call("vsock", SYS_socket, AF_VSOCK, SOCK_STREAM, 0, 0);
    try_call("alg", SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, 0);
    try_call("packet", SYS_socket, AF_PACKET, SOCK_RAW, 0, 0);
    try_call("sti", SYS_ioctl, 0, 0x5412, 0, 0);
    try_call("tunsetiff", SYS_ioctl, 0, 0x400454ca, 0, 0);
    try_call("no-randomize", SYS_personality, 0x0040000, 0, 0, 0);
    try_call("mknod-device", SYS_mknodat, AT_FDCWD, (long)"/dev/shm/device", S_IFCHR | 0600, 0x101);
    TRY(setns, 0, 0, 0, 0);
    TRY(mount, 0, 0, 0, 0);
    TRY(umount2, 0, 0, 0, 0);
    TRY(pivot_root, 0, 0, 0, 0);
    TRY(chroot, (long)"/", 0, 0, 0);
    TRY(name_to_handle_at, 0, 0, 0, 0);
    TRY(open_by_handle_at, 0, 0, 0, 0);
    TRY(ptrace, 9999, 0, 0, 0);
    TRY(process_vm_readv, 0, 0, 0, 0);
    TRY(process_vm_writev, 0, 0, 0, 0);
    TRY(kcmp, 0, 0, 0, 0);
    TRY(perf_event_open, 0, 0, 0, 0);
    TRY(bpf, 0, 0, 0, 0);
    TRY(userfaultfd, 1, 0, 0, 0);
    TRY(add_key, 0, 0, 0, 0);
    TRY(request_key, 0, 0, 0, 0);
    TRY(keyctl, 0, 0, 0, 0);
    TRY(init_module, 0, 0, 0, 0);
    TRY(finit_module, 0, 0, 0, 0);
    TRY(delete_module, 0, 0, 0, 0);
    TRY(kexec_load, 0, 0, 0, 0);
    TRY(reboot, 0, 0, 0, 0);
    TRY(swapon, 0, 0, 0, 0);
    TRY(swapoff, 0, 0, 0, 0);
    TRY(acct, 0, 0, 0, 0);
    TRY(quotactl, 0, 0, 0, 0);
    TRY(syslog, 3, 0, 0, 0);
    TRY(sethostname, 0, 0, 0, 0);
    TRY(settimeofday, 0, 0, 0, 0);
    TRY(clock_settime, 0, 0, 0, 0);
    TRY(adjtimex, 0, 0, 0, 0);
    TRY(vhangup, 0, 0, 0, 0);
    TRY(fanotify_init, 0, 0, 0, 0);
    TRY(mbind, 0, 0, 0, 0);
    TRY(move_pages, 0, 0, 0, 0);
    try_call("io_uring_setup", 425, 0, 0, 0, 0);
    try_call("io_uring_enter", 426, 0, 0, 0, 0);
    try_call("io_uring_register", 427, 0, 0, 0, 0);
    try_call("open_tree", 428, 0, 0, 0, 0);
    try_call("move_mount", 429, 0, 0, 0, 0);
    try_call("fsopen", 430, 0, 0, 0, 0);
    try_call("fsconfig", 431, 0, 0, 0, 0);
    try_call("fsmount", 432, 0, 0, 0, 0);
    try_call("fspick", 433, 0, 0, 0, 0);
    try_call("pidfd_getfd", 438, 0, 0, 0, 0);
    try_call("process_madvise", 440, 0, 0, 0, 0);
    try_call("mount_setattr", 442, 0, 0, 0, 0);
    try_call("statmount", 457, 0, 0, 0, 0);
    try_call("listmount", 458, 0, 0, 0, 0);
    try_call("open_tree_attr", 467, 0, 0, 0, 0);
    try_call("next-call", 500, 0, 0, 0, 0);
    int wrong = ordinary();
    if (wrong) printf("step %d: %s\n", wrong, strerror(errno));
    else printf("works\n");
    return 0;
}
