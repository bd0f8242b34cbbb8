/* kernel.c - the kernel's NBD devices, by netlink
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 8192 };

static _Alignas(8) char message[MESSAGE_BYTES];

/* begin_request: in "message" */
static struct nlmsghdr *begin_request(struct kernel *kernel, uint16_t family,
                                      uint8_t command)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(message);
    struct genlmsghdr *generic;

    header->nlmsg_type = family;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    header->nlmsg_seq = ++kernel->sequence;
    generic = mnl_nlmsg_put_extra_header(header, sizeof *generic);
    generic->cmd = command;
    generic->version = 1;
    return header;
}

/* run_request: sends it, takes what comes, to the acknowledgement. Returns 0 or a negative errno. */
static int run_request(struct kernel *kernel, const struct nlmsghdr *header,
                       mnl_cb_t callback, void *data)
{
    const unsigned port = mnl_socket_get_portid(kernel->requests);
    const uint32_t sequence = header->nlmsg_seq;

    if (mnl_socket_sendto(kernel->requests, header, header->nlmsg_len) < 0)
        return -errno;
    for (;;) {
        const ssize_t length =
            mnl_socket_recvfrom(kernel->requests, message, sizeof message);
        if (length < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        const int result = mnl_cb_run(message, length, sequence, port, callback, data);
        if (result < 0)
            return -errno;
        if (result == MNL_CB_STOP)
            return 0;
    }
}

static void take_group(const struct nlattr *group, struct kernel *kernel)
{
    const struct nlattr *one;
    uint32_t id = 0;
    bool is_ours = false;

    mnl_attr_for_each_nested(one, group)
    {
        if (mnl_attr_get_type(one) == CTRL_ATTR_MCAST_GRP_ID)
            id = mnl_attr_get_u32(one);
        if (mnl_attr_get_type(one) == CTRL_ATTR_MCAST_GRP_NAME)
            is_ours = strcmp(mnl_attr_get_str(one), NBD_GENL_MCAST_GROUP_NAME) == 0;
    }
    if (is_ours)
        kernel->group = id;
}

static int take_family(const struct nlmsghdr *header, void *data)
{
    struct kernel *kernel = data;
    const struct nlattr *one;
    const struct nlattr *group;

    mnl_attr_for_each(one, header, sizeof(struct genlmsghdr))
    {
        if (mnl_attr_get_type(one) == CTRL_ATTR_FAMILY_ID)
            kernel->family = mnl_attr_get_u16(one);
        if (mnl_attr_get_type(one) == CTRL_ATTR_MCAST_GROUPS)
            mnl_attr_for_each_nested(group, one) take_group(group, kernel);
    }
    return MNL_CB_OK;
}

static int find_family(struct kernel *kernel, struct why *why)
{
    struct nlmsghdr *header = begin_request(kernel, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);

    mnl_attr_put_strz(header, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME);
    const int error = run_request(kernel, header, take_family, kernel);
    if (error || kernel->family == 0 || kernel->group == 0)
        return why_set(why, "the kernel has no NBD client: modprobe nbd");
    return 0;
}

int kernel_open(struct kernel *kernel, struct why *why)
{
    memset(kernel, 0, sizeof *kernel);
    kernel->requests = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
    kernel->events = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (kernel->requests == NULL || kernel->events == NULL ||
        mnl_socket_bind(kernel->requests, 0, MNL_SOCKET_AUTOPID) ||
        mnl_socket_bind(kernel->events, 0, MNL_SOCKET_AUTOPID)) {
        why_set(why, "no netlink socket: %s", strerror(errno));
        kernel_close(kernel);
        return -1;
    }
    if (find_family(kernel, why)) {
        kernel_close(kernel);
        return -1;
    }
    int group = kernel->group;
    if (mnl_socket_setsockopt(kernel->events, NETLINK_ADD_MEMBERSHIP, &group,
                              sizeof group)) {
        why_set(why, "cannot listen to the kernel: %s", strerror(errno));
        kernel_close(kernel);
        return -1;
    }
    return 0;
}

void kernel_close(struct kernel *kernel)
{
    if (kernel->requests)
        mnl_socket_close(kernel->requests);
    if (kernel->events)
        mnl_socket_close(kernel->events);
    kernel->requests = NULL;
    kernel->events = NULL;
}

static void put_sockets(struct nlmsghdr *header, const int *sockets, unsigned count)
{
    struct nlattr *all = mnl_attr_nest_start(header, NBD_ATTR_SOCKETS);

    for (unsigned i = 0; i < count; i++) {
        struct nlattr *one = mnl_attr_nest_start(header, NBD_SOCK_ITEM);
        mnl_attr_put_u32(header, NBD_SOCK_FD, sockets[i]);
        mnl_attr_nest_end(header, one);
    }
    mnl_attr_nest_end(header, all);
}

static int refused(uint32_t index, int error, struct why *why)
{
    switch (error) {
    case 0:
        return 0;
    case -EBUSY:
        return why_set(why, "/dev/nbd%u is in use", index);
    case -EPERM:
        return why_set(why, "the kernel lets only root do this");
    default:
        return why_set(why, "the kernel refuses /dev/nbd%u: %s", index,
                       strerror(-error));
    }
}

int kernel_connect(struct kernel *kernel, uint32_t index,
                   const struct device_settings *settings, const int *sockets,
                   unsigned count, struct why *why)
{
    struct nlmsghdr *header = begin_request(kernel, kernel->family, NBD_CMD_CONNECT);

    mnl_attr_put_u32(header, NBD_ATTR_INDEX, index);
    mnl_attr_put_u64(header, NBD_ATTR_SIZE_BYTES, settings->size_bytes);
    mnl_attr_put_u64(header, NBD_ATTR_BLOCK_SIZE_BYTES, settings->block_bytes);
    mnl_attr_put_u64(header, NBD_ATTR_SERVER_FLAGS, settings->flags);
    if (settings->request_timeout_s)
        mnl_attr_put_u64(header, NBD_ATTR_TIMEOUT, settings->request_timeout_s);
    if (settings->dead_timeout_s)
        mnl_attr_put_u64(header, NBD_ATTR_DEAD_CONN_TIMEOUT, settings->dead_timeout_s);
    put_sockets(header, sockets, count);
    return refused(index, run_request(kernel, header, NULL, NULL), why);
}

int kernel_disconnect(struct kernel *kernel, uint32_t index, struct why *why)
{
    struct nlmsghdr *header = begin_request(kernel, kernel->family, NBD_CMD_DISCONNECT);

    mnl_attr_put_u32(header, NBD_ATTR_INDEX, index);
    return refused(index, run_request(kernel, header, NULL, NULL), why);
}

int kernel_replace(struct kernel *kernel, uint32_t index, int socket)
{
    struct nlmsghdr *header =
        begin_request(kernel, kernel->family, NBD_CMD_RECONFIGURE);

    mnl_attr_put_u32(header, NBD_ATTR_INDEX, index);
    put_sockets(header, &socket, 1);
    return run_request(kernel, header, NULL, NULL);
}

int kernel_event_fd(const struct kernel *kernel)
{
    return mnl_socket_get_fd(kernel->events);
}

struct dead_count {
    uint32_t index;
    int links;
};

static int count_dead(const struct nlmsghdr *header, void *data)
{
    const struct genlmsghdr *generic = mnl_nlmsg_get_payload(header);
    struct dead_count *dead = data;
    const struct nlattr *one;

    if (generic->cmd == NBD_CMD_LINK_DEAD)
        mnl_attr_for_each(one, header, sizeof *generic)
        {
            if (mnl_attr_get_type(one) == NBD_ATTR_INDEX &&
                mnl_attr_get_u32(one) == dead->index)
                dead->links++;
        }
    return MNL_CB_OK;
}

int kernel_dead_links(struct kernel *kernel, uint32_t index)
{
    struct dead_count dead = {.index = index};

    for (;;) {
        const ssize_t length =
            mnl_socket_recvfrom(kernel->events, message, sizeof message);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return errno == EAGAIN ? dead.links : -1;
        mnl_cb_run(message, length, 0, 0, count_dead, &dead);
    }
}

/* sysfs: the path of a device's attribute, in "path" */
static const char *sysfs(uint32_t index, const char *attribute)
{
    static char path[64];

    snprintf(path, sizeof path, "/sys/block/nbd%u/%s", index, attribute);
    return path;
}

bool kernel_has_device(uint32_t index)
{
    return access(sysfs(index, "size"), F_OK) == 0;
}

bool kernel_is_connected(uint32_t index)
{
    return access(sysfs(index, "pid"), F_OK) == 0;
}

/* The file is made with each connection.  (What is in it is the number of the process that made it, which some
 * kernels read from a process that has ended.) */
uint64_t kernel_connection(uint32_t index)
{
    struct stat file;

    if (stat(sysfs(index, "pid"), &file) == 0)
        return file.st_ino;
    return errno == ENOENT || errno == ENOTDIR || errno == ENODEV ? 0 : KERNEL_UNKNOWN;
}

uint64_t kernel_size_bytes(uint32_t index)
{
    char text[32] = "";
    const int fd = open(sysfs(index, "size"), O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    const ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    return length > 0 ? strtoull(text, NULL, 10) * 512 : 0;
}
