package wholefile

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Share gives a file to root and lets a group read it: what root has made, its daemon has to read. Where there is no such group, or
// somebody else than root asks, the daemon runs as who asks, and nothing is done.
func Share(file, group string, mode os.FileMode) error {
	id, ok := groupID(group)
	if os.Geteuid() != 0 || !ok {
		return nil
	}
	if err := errors.Join(os.Chown(file, 0, id), os.Chmod(file, mode)); err != nil {
		return fmt.Errorf("let the group %s read %s: %w", group, file, err)
	}
	return nil
}

// groupID looks a group up. The standard library's way is larger than a router has room for.
func groupID(name string) (id int, ok bool) {
	b, err := os.ReadFile("/etc/group")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(line, ":"); len(f) >= 3 && f[0] == name {
			id, err := strconv.Atoi(f[2])
			return id, err == nil
		}
	}
	return 0, false
}
