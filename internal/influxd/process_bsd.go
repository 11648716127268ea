//go:build unix && !linux

package influxd

import "syscall"

// apart keeps a Ctrl-C at the terminal from the child, so that its parent can flush into it first.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
