package command

import (
	"strings"
	"unsafe"
)

// Hide overwrites arguments that are secret where the system keeps them, so that ps shows them to nobody from then on, and returns a copy of all. They have to be
// those that the system gave to this process; whatever else refers to them is overwritten, too.
func Hide(args []string, secret func(arg string) bool) []string {
	copies := make([]string, len(args))
	for i, a := range args {
		copies[i] = strings.Clone(a)
		if !secret(a) {
			continue
		}
		b := unsafe.Slice(unsafe.StringData(a), len(a)) // the system's memory, which can be written
		for j := range b {
			b[j] = 'x'
		}
	}
	return copies
}
