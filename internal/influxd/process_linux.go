package influxd

import "syscall"

// apart keeps a Ctrl-C at the terminal from the child, so that its parent can flush into it first, and has the
// kernel kill it when the parent's thread is gone.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
