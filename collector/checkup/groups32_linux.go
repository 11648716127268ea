//go:build linux && (386 || arm)

package checkup

import "golang.org/x/sys/unix"

// sysSetgroups is the call that takes ids of 32 bit: the older one reads them as of 16, and so gives each the group 0 beside its own.
const sysSetgroups = unix.SYS_SETGROUPS32
