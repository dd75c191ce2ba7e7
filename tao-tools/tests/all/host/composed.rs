//! What runs together with a program: libraries, the interpreter of a script, the
//! environment; measured, and in the name.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sha2::{Digest, Sha256};
use tao_host::{Confinement, Environment, Lacking, Libraries, ProgramPolicy, Scripts};

use super::{
    common::{Setup, TestHost},
    isolation::{can, text},
};

fn hash(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

fn with(secret: u8, policy: ProgramPolicy) -> TestHost {
    let mut setup = Setup::new(secret);
    setup.programs = policy;
    setup.start()
}

fn measuring(secret: u8) -> TestHost {
    let policy = ProgramPolicy {
        libraries: Libraries::Measured,
        scripts: Scripts::Measured,
        ..ProgramPolicy::default()
    };
    with(secret, policy)
}

/// The name of a program that ends by itself.
fn name(host: &TestHost, words: &[&str]) -> String {
    let all: Vec<&str> = ["run", "--json"].iter().chain(words).copied().collect();
    let output = host.run(&all);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    line["program"].as_str().unwrap().to_owned()
}

/// What a refusal says.
fn refusal(host: &TestHost, words: &[&str]) -> String {
    let all: Vec<&str> = std::iter::once("run")
        .chain(words.iter().copied())
        .collect();
    let output = host.run(&all);
    assert_eq!(output.status.code(), Some(125), "{words:?}");
    let sentence = text(&output.stderr);
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    sentence
}

/// Compiles a library and a program that says what the library says, once it is told to go on.
/// The program looks for the library in `looks_in`.
pub fn build(dir: &Path, says: &str, looks_in: &Path) -> (PathBuf, PathBuf) {
    let source = |name: &str, text: String| {
        fs::write(dir.join(name), text).unwrap();
    };
    source(
        "says.c",
        format!("const char *says(void) {{ return \"{says}\"; }}\n"),
    );
    source(
        "program.c",
        "#include <stdio.h>\nconst char *says(void);\n\
         int main(void) { puts(\"ready\"); fflush(stdout); getchar(); puts(says()); return 0; }\n"
            .to_owned(),
    );
    let (library, program) = (dir.join("libsays.so"), dir.join("program"));
    let cc = |arguments: &[&str]| {
        let done = Command::new("cc").args(arguments).status().unwrap();
        assert!(done.success());
    };
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    cc(&[
        "-shared",
        "-fPIC",
        "-Wl,-soname,libsays.so",
        "-o",
        &at(&library),
        &at(&dir.join("says.c")),
    ]);
    cc(&[
        "-o",
        &at(&program),
        &at(&dir.join("program.c")),
        &at(&library),
        &format!("-Wl,-rpath,{}", looks_in.display()),
    ]);
    (library, program)
}

fn start(host: &TestHost, program: &Path) -> Child {
    host.tao(&["run", program.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The name of the only program, as soon as there is one.
fn only(host: &TestHost) -> String {
    loop {
        if let Some(found) = host.admin().list().unwrap().first() {
            return found.subprin.to_string();
        }
    }
}

/// Lets a program go on and gives what it says then.
fn finish(mut child: Child) -> String {
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    text(&child.wait_with_output().unwrap().stdout)
}

#[test]
fn loader_and_libraries_are_in_the_name_by_their_hashes() {
    let host = measuring(130);
    if !can(&host, Confinement::Namespaces) {
        assert!(refusal(&host, &["true"]).contains("namespaces"));
        return;
    }
    let name = name(&host, &["true"]);
    let cache = Command::new("/sbin/ldconfig").arg("-p").output().unwrap();
    let cache = text(&cache.stdout);
    let library = cache
        .lines()
        .find(|line| line.contains("libc.so.6 "))
        .unwrap();
    let library = library.split("=> ").nth(1).unwrap();
    let part = format!("\"libc.so.6\", [{}]", hash(Path::new(library)));
    assert!(name.contains(".Libraries(\"ld-linux"), "{name}");
    assert!(name.contains(&part), "{name} without {part}");
    // What is mapped is the copy: not the same file.
    let maps = text(&host.run(&["run", "cat", "/proc/self/maps"]).stdout);
    let mapped: Vec<&str> = maps
        .lines()
        .filter(|line| line.contains("libc.so.6"))
        .collect();
    let inode = fs::metadata(library).unwrap().ino().to_string();
    assert!(!mapped.is_empty(), "{maps}");
    for line in mapped {
        assert_ne!(line.split_whitespace().nth(4).unwrap(), inode, "{line}");
    }
    // And cannot be written, not even by root, nor another be put in its place.
    let directory = "/proc/self/fd/5/lib";
    for script in [
        format!("echo x >>{directory}/libc.so.6"),
        format!("rm -f {directory}/libc.so.6"),
        format!("echo x >{directory}/libother.so"),
    ] {
        let done = host.run(&["run", "sh", "-c", &script]);
        assert!(!done.status.success(), "{script}");
    }
    let kept = format!("cat {directory}/libc.so.6 >/dev/null && ls /proc/self/fd/5");
    let kept = host.run(&["run", "sh", "-c", &kept]);
    assert_eq!(
        text(&kept.stdout),
        "lib\nprogram\n",
        "{}",
        text(&kept.stderr)
    );
}

#[test]
fn another_library_is_another_program_and_a_library_that_is_overwritten_changes_nothing() {
    let host = measuring(131);
    if !can(&host, Confinement::Namespaces) {
        return;
    }
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (library, program) = build(dir.path(), "one", dir.path());
    let (other_library, _) = build(other.path(), "two", other.path());
    let mut running = start(&host, &program);
    let name = only(&host);
    assert!(name.contains(&hash(&library)), "{name}");
    // Overwritten in place while the program runs.
    fs::write(&library, fs::read(&other_library).unwrap()).unwrap();
    assert!(running.try_wait().unwrap().is_none());
    assert_eq!(finish(running), "one\n");
    // The next one is what it is now, and has another name.
    let again = start(&host, &program);
    let changed = only(&host);
    assert_eq!(finish(again), "two\n");
    assert_ne!(changed, name);
    fs::remove_file(&library).unwrap();
    let said = refusal(&host, &[program.to_str().unwrap()]);
    assert!(said.contains("needs the library libsays.so"), "{said}");
}

#[test]
fn a_script_is_named_by_its_interpreter_and_itself_and_runs_as_it_was_measured() {
    let host = measuring(132);
    if !can(&host, Confinement::Namespaces) {
        return;
    }
    let script = host.path("script");
    let write = |word: &str| {
        let text = format!("#!/bin/sh -e\necho ready\nread line\necho {word} $0 $1\n");
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("one");
    let first = hash(&script);
    let path = script.to_str().unwrap();
    let mut child = host
        .tao(&["run", path, "argument"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let name = only(&host);
    let interpreter = hash(&fs::canonicalize("/bin/sh").unwrap());
    let expected = format!(".Program([{interpreter}]).Script([{first}], \"-e\").Libraries(");
    assert!(name.starts_with(&expected), "{name}");
    // A shell reads its script piece by piece.
    write("two");
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let said = text(&child.wait_with_output().unwrap().stdout);
    // By a descriptor, as the kernel gives a script that was opened by one.
    assert_eq!(said, "one /proc/self/fd/5/script/script argument\n");
}

#[test]
fn scripts_that_would_run_something_unmeasured_are_refused() {
    let host = measuring(133);
    let script = host.path("script");
    let path = script.to_str().unwrap().to_owned();
    for (line, words) in [
        ("#!/usr/bin/env sh", "is env"),
        ("#!sh", "absolute path"),
        ("#!", "names no interpreter"),
        ("#!/absent/interpreter", "No such file"),
        (format!("#!{path}").as_str(), "is a script itself"),
    ] {
        fs::write(&script, format!("{line}\necho\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let said = refusal(&host, &[&path]);
        assert!(said.contains(words), "{line}: {said}");
    }
}

#[test]
fn copies_need_no_mounts_of_the_programs_own() {
    let policy = ProgramPolicy {
        libraries: Libraries::Measured,
        scripts: Scripts::Measured,
        confinements: Vec::new(),
        ..ProgramPolicy::default()
    };
    let host = with(134, policy);
    if !nix::unistd::geteuid().is_root() {
        let said = refusal(&host, &["true"]);
        assert!(said.contains("a file system of its own"), "{said}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_, program) = build(dir.path(), "one", dir.path());
    assert_eq!(finish(start(&host, &program)), "one\n");
}

#[test]
fn a_program_with_measured_libraries_is_called_as_it_was_started_and_gets_its_arguments() {
    let host = measuring(150);
    if !can(&host, Confinement::Namespaces) {
        return;
    }
    let output = host.run(&[
        "run",
        "sh",
        "-c",
        "echo $0 $1 $2",
        "zero",
        "--argv0",
        "two words",
    ]);
    assert_eq!(text(&output.stdout), "zero --argv0 two words\n");
    let output = host.run(&["run", "/bin/sh", "-c", "echo $0"]);
    assert_eq!(text(&output.stdout), "/bin/sh\n");
}

#[test]
fn what_is_not_measured_is_said_in_the_name_where_the_policy_says_so() {
    let policy = ProgramPolicy {
        lacking: Lacking::Declare,
        ..ProgramPolicy::default()
    };
    let host = with(135, policy);
    let name = name(&host, &["true"]);
    assert!(name.contains("\"libraries\")"), "{name}");
}

#[test]
fn measured_libraries_are_found_under_rules_for_files() {
    let dir = tempfile::tempdir().unwrap();
    let (_, program) = build(dir.path(), "one", dir.path());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let policy = ProgramPolicy {
        libraries: Libraries::Measured,
        files: Some(tao_host::FileRules::default()),
        ..ProgramPolicy::default()
    };
    let host = with(136, policy);
    if can(&host, Confinement::Namespaces) {
        assert_eq!(finish(start(&host, &program)), "one\n");
    }
}

#[test]
fn the_environment_is_refused_named_or_free_as_the_policy_says() {
    let host = TestHost::start(137);
    let said = refusal(&host, &["--env", "A=1", "true"]);
    assert!(said.contains("policy refuses them"), "{said}");
    let policy = ProgramPolicy {
        environment: Environment::Named,
        ..ProgramPolicy::default()
    };
    let host = with(138, policy);
    let found = name(&host, &["--env", "B=2", "--env", "A=1", "true"]);
    assert!(found.ends_with(".Env(\"A=1\", \"B=2\")"), "{found}");
    assert!(name(&host, &["true"]).ends_with(".Env()"));
    let said = refusal(&host, &["--env", "LD_PRELOAD=/tmp/x.so", "true"]);
    assert!(said.contains("cannot be set"), "{said}");
    let policy = ProgramPolicy {
        environment: Environment::Unnamed,
        ..ProgramPolicy::default()
    };
    let host = with(139, policy);
    let output = host.run(&["run", "--env", "A=one two", "sh", "-c", "echo $A"]);
    assert_eq!(text(&output.stdout), "one two\n");
    let harmless = ["--env", "TERM=xterm", "--env", "LC_ALL=C", "true"];
    assert!(!name(&host, &harmless).contains("Env"));
    for variable in [
        "A=1",
        "BASH_ENV=/tmp/x",
        "PYTHONPATH=/tmp",
        "PERL5OPT=-M",
        "OPENSSL_CONF=/tmp/x",
    ] {
        let found = name(&host, &["--env", variable, "--env", "TERM=xterm", "true"]);
        assert!(found.ends_with(&format!(".Env(\"{variable}\")")), "{found}");
    }
}

/// The loader of dynamic programs has no loader, and is not static for that.
#[test]
fn the_loader_as_a_program_is_what_its_policy_says_of_dynamic_ones() {
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let found = std::path::Path::new(loader).exists().then_some(());
    if test_support::required(found, loader).is_none() {
        return;
    }
    for (libraries, words) in [
        (Libraries::Refused, "static programs only"),
        (Libraries::Measured, "what it will load is not measured"),
    ] {
        let mut setup = Setup::new(99);
        setup.programs.libraries = libraries;
        let host = setup.start();
        let said = host.run(&["run", loader, "/bin/true"]);
        let said = String::from_utf8(said.stderr).unwrap();
        assert!(said.contains(words), "{said}");
    }
}
