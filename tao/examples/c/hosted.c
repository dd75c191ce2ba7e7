/* A hosted program in C, written from docs/tao-wire.md alone: it asks its host for its name, for
 * random bytes, and has something sealed and unsealed.
 *
 *   cc -O2 -static -o hosted hosted.c
 *   tao run ./hosted           prints: name HEX (tao logic decode --kind prin), random, sealed, unsealed
 *   tao run ./hosted name      asks for nothing but the name, and prints its length
 *
 * The calls come one after the other, so one buffer for an answer is enough.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 4096 /* longest frame that this program accepts; the format allows 20 MiB */

struct bytes { const unsigned char *at; size_t length; };
struct answer { struct bytes data, policy; };

static int from_host, to_host;
static uint64_t next_seq;
static unsigned char received_header[MOST], received_body[MOST];

static void give_up(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "hosted: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	exit(1);
}

/* Descriptors: the host may give and take in pieces. */

static void write_all(const unsigned char *at, size_t length)
{
	while (length > 0) {
		ssize_t count = write(to_host, at, length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			give_up("the host does not listen: %s", strerror(errno));
		at += count;
		length -= (size_t)count;
	}
}

static void read_all(unsigned char *at, size_t length)
{
	while (length > 0) {
		ssize_t count = read(from_host, at, length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			give_up("the host does not answer: %s", strerror(errno));
		if (count == 0)
			give_up("the host has ended the connection");
		at += count;
		length -= (size_t)count;
	}
}

static struct bytes read_frame(unsigned char *buffer)
{
	unsigned char prefix[4];
	read_all(prefix, sizeof prefix);
	uint32_t length = (uint32_t)prefix[0] << 24 | (uint32_t)prefix[1] << 16 | (uint32_t)prefix[2] << 8 | prefix[3];
	if (length > MOST)
		give_up("a frame of %u bytes; this program takes %d at most", (unsigned)length, MOST);
	read_all(buffer, length);
	return (struct bytes){ buffer, length };
}

/* Protocol buffers: as much as these messages need. */

struct out { unsigned char at[2 * MOST]; size_t length; };

static void put(struct out *out, const void *bytes, size_t length)
{
	if (length > sizeof out->at - out->length)
		give_up("a request of more than %zu bytes", sizeof out->at);
	memcpy(out->at + out->length, bytes, length);
	out->length += length;
}

static void put_varint(struct out *out, uint64_t value)
{
	do {
		unsigned char byte = (value & 0x7f) | (value > 0x7f ? 0x80 : 0);
		put(out, &byte, 1);
		value >>= 7;
	} while (value > 0);
}

static void put_number(struct out *out, unsigned field, uint64_t value)
{
	put_varint(out, field << 3);
	put_varint(out, value);
}

static void put_bytes(struct out *out, unsigned field, const void *bytes, size_t length)
{
	put_varint(out, field << 3 | 2);
	put_varint(out, length);
	put(out, bytes, length);
}

static void put_frame(struct out *out, const struct out *message)
{
	uint32_t length = (uint32_t)message->length;
	unsigned char prefix[4] = { length >> 24, length >> 16, length >> 8, length };
	put(out, prefix, sizeof prefix);
	put(out, message->at, message->length);
}

static uint64_t take_varint(struct bytes *from)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && from->length > 0; shift += 7) {
		unsigned char byte = *from->at++;
		from->length--;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	give_up("the host's answer is cut off");
	return 0;
}

/* The next field; its number, and its value as a number or as bytes. */
static unsigned take_field(struct bytes *from, uint64_t *number, struct bytes *bytes)
{
	uint64_t key = take_varint(from);
	*number = 0;
	*bytes = (struct bytes){ NULL, 0 };
	if ((key & 7) == 0) {
		*number = take_varint(from);
	} else if ((key & 7) == 2) {
		uint64_t length = take_varint(from);
		if (length > from->length)
			give_up("the host's answer is cut off");
		*bytes = (struct bytes){ from->at, (size_t)length };
		from->at += length;
		from->length -= (size_t)length;
	} else {
		give_up("the host's answer has a field of an unknown kind");
	}
	return (unsigned)(key >> 3);
}

/* A call: ask for `body`, wait for the answer. */
static struct answer call(const char *op, const struct out *body)
{
	static struct out header, request;
	struct answer answer = { { NULL, 0 }, { NULL, 0 } };
	struct bytes bytes, error = { NULL, 0 };
	uint64_t number, seq = 0;

	header.length = request.length = 0;
	put_bytes(&header, 1, op, strlen(op));
	put_number(&header, 2, next_seq);
	put_frame(&request, &header);
	put_frame(&request, body);
	write_all(request.at, request.length);

	struct bytes message = read_frame(received_header);
	while (message.length > 0) {
		unsigned field = take_field(&message, &number, &bytes);
		if (field == 2)
			seq = number;
		if (field == 3)
			error = bytes;
	}
	message = read_frame(received_body);
	if (error.at)
		give_up("%s: %.*s", op, (int)error.length, (const char *)error.at);
	if (seq != next_seq++)
		give_up("%s: an answer to another call", op);
	while (message.length > 0) {
		unsigned field = take_field(&message, &number, &bytes);
		if (field == 1)
			answer.data = bytes;
		if (field == 2)
			answer.policy = bytes;
	}
	return answer;
}

static void join_host(void)
{
	const char *type = getenv("CLOUDPROXY_TAO_HOST_CHANNEL_TYPE");
	const char *spec = getenv("CLOUDPROXY_TAO_HOST_SPEC");
	if (!type || !spec)
		give_up("no host: this is a hosted program; start it with `tao run`");
	if (strcmp(type, "pipe") != 0)
		give_up("a channel of type %s; this program knows only pipe", type);
	if (sscanf(spec, "tao::RPC+tao::FDMessageChannel(%d, %d)", &from_host, &to_host) != 2)
		give_up("the host's channel is not understood: %s", spec);
	/* Whoever else holds them speaks under this program's name. */
	if (fcntl(from_host, F_SETFD, FD_CLOEXEC) < 0 || fcntl(to_host, F_SETFD, FD_CLOEXEC) < 0)
		give_up("the host's channel is not open: %s", strerror(errno));
}

static void print_hex(const char *what, struct bytes bytes)
{
	printf("%s ", what);
	for (size_t i = 0; i < bytes.length; i++)
		printf("%02x", bytes.at[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	static const char secret[] = "only for this very program";
	static struct out body;
	struct answer answer;

	join_host();
	answer = call("Tao.GetTaoName", &body);
	if (argc > 1 && strcmp(argv[1], "name") == 0) {
		printf("%zu\n", answer.data.length);
		return 0;
	}
	print_hex("name", answer.data);

	put_number(&body, 2, 16); /* size */
	answer = call("Tao.GetRandomBytes", &body);
	print_hex("random", answer.data);

	body.length = 0;
	put_bytes(&body, 1, secret, strlen(secret)); /* data */
	put_bytes(&body, 3, "self", 4); /* policy */
	answer = call("Tao.Seal", &body);
	print_hex("sealed", answer.data);

	body.length = 0;
	put_bytes(&body, 1, answer.data.at, answer.data.length);
	answer = call("Tao.Unseal", &body);
	if (answer.data.length != strlen(secret) || memcmp(answer.data.at, secret, strlen(secret)) != 0)
		give_up("something else came out than was sealed");
	if (answer.policy.length != 4 || memcmp(answer.policy.at, "self", 4) != 0)
		give_up("unsealed under another policy than self");
	printf("unsealed %.*s\n", (int)answer.data.length, (const char *)answer.data.at);
	return 0;
}
