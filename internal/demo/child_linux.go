package demo

import "syscall"

// apart puts a child into a process group of its own, so that a Ctrl-C at the terminal comes to the demo alone,
// which then stops its children in order. The kernel kills the child should the demo itself be killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
