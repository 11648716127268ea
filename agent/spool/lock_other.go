//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package spool

import "os"

// lock does nothing here: the platform has no flock, and the agent's service manager runs one agent only.
func lock(*os.File) error { return nil }
