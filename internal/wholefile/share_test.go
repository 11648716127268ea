package wholefile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAFileIsSharedWithAGroupThatIsThere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, who alone may give a file to a group")
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	id, ok := groupID("daemon")
	if !ok {
		t.Skip("needs a group daemon, which this machine lacks")
	}
	for _, row := range []struct {
		group string
		mode  os.FileMode
		gid   uint32
	}{{"no-such-group", 0o600, uint32(os.Getegid())}, {"daemon", 0o640, uint32(id)}} {
		if err := Share(file, row.group, 0o640); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Gid; got != row.gid || info.Mode().Perm() != row.mode {
			t.Errorf("%s: group %d, mode %v; want %d, %v", row.group, got, info.Mode().Perm(), row.gid, row.mode)
		}
	}
}
