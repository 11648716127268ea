//go:build unix && !linux

package demo

import "syscall"

// apart puts a child into a process group of its own, so that a Ctrl-C at the terminal comes to the demo alone,
// which then stops its children in order.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
