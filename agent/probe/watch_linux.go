package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Watch tells when an interface goes up or down, gains or loses its carrier, or a default route comes or goes, as soon as the kernel
// says so; nothing is asked and nothing sent. The word is when it was heard; what happens
// before it is taken adds nothing to it. The channel is closed when ctx
// ends. It is nil where the kernel does not tell; then the route must be read now and then.
func Watch(ctx context.Context, log *slog.Logger) <-chan time.Time {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err == nil {
		groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE)
		if err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
			_ = unix.Close(fd)
		}
	}
	if err != nil {
		log.Warn("the kernel does not tell of interfaces and routes; they are read with each question", "err", err)
		return nil
	}
	told := make(chan time.Time, 1)
	go watch(ctx, os.NewFile(uintptr(fd), "netlink"), told)
	return told
}

func watch(ctx context.Context, f *os.File, told chan<- time.Time) {
	defer close(told)
	stop := context.AfterFunc(ctx, func() { _ = f.Close() })
	defer stop()
	defer f.Close()
	links := map[int32]uint32{}
	b := make([]byte, 16<<10)
	for {
		n, err := f.Read(b)
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // some were missed: look
			return
		}
		if err == nil && !news(b[:n], links) {
			continue
		}
		select {
		case told <- time.Now():
		default: // it is still waiting to be taken
		}
	}
}

// The flags of an interface that matter here.
const linkFlags = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP

// news tells whether messages say something that matters: the flags of an interface, or a default route. Links keeps the flags told before:
// of wireless interfaces the kernel tells much more.
func news(b []byte, links map[int32]uint32) (matters bool) {
	order := binary.NativeEndian
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(order.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return true // cannot be read: look
		}
		body := b[unix.SizeofNlMsghdr:size]
		switch kind := order.Uint16(b[4:]); kind {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			if len(body) < unix.SizeofIfInfomsg || body[0] != unix.AF_UNSPEC { // bridges tell of their ports
				break
			}
			index, flags := int32(order.Uint32(body[4:])), order.Uint32(body[8:])&linkFlags
			before, known := links[index]
			if kind == unix.RTM_DELLINK {
				delete(links, index)
				matters = true
			} else if !known || before != flags {
				links[index] = flags
				matters = true
			}
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			matters = matters || len(body) >= unix.SizeofRtMsg && body[1] == 0 // of destination zero bits count
		}
		b = b[min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
	}
	return matters
}
