package checkup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/mem"
)

const (
	littleDisk   = 1 << 20 // beyond what the spool may still take
	littleMemory = 8 << 20 // below this the kernel begins to kill on a small router
)

// disk looks at where the spool lies.
func (k *checkup) disk(ctx context.Context) {
	f := Finding{Matter: "disk"}
	if err := writable(k.c.DataDir); err != nil {
		f.Grade, f.Found = Fail, err.Error()
		switch f.Next = "make the folder writable for the agent, or set data_dir"; {
		case errors.Is(err, syscall.ENOSPC):
			f.Next = "free space on the file system, or set data_dir to a folder on another"
		case errors.Is(err, fs.ErrPermission) && k.shut:
			f.Next = askAs
		}
		k.tell(f)
		return
	}
	if k.runs != nil && len(k.runs.Notes) > 0 { // root may write where the agent's user may not
		f.Grade, f.Found = Warn, "the running agent says: "+list(k.runs.Notes)
		f.Next = "free space on the file system, or give " + k.c.DataDir + " to the agent's user; it tries again within the hour"
		k.tell(f)
		return
	}
	at := k.c.DataDir
	for _, err := os.Stat(at); err != nil; _, err = os.Stat(at) {
		at = filepath.Dir(at)
	}
	u, err := disk.UsageWithContext(ctx, at)
	if err != nil {
		f.Grade, f.Found = Warn, "this machine does not tell how full the disk of "+k.c.DataDir+" is"
		k.tell(f)
		return
	}
	f.Found = fmt.Sprintf("%s is writable, %s free", k.c.DataDir, mega(u.Free))
	if u.Fstype != "" { // some kinds have no name there
		f.Found += " (" + u.Fstype + ")"
	}
	switch need := uint64(k.c.SpoolMaxBytes) + littleDisk; {
	case u.Fstype == "tmpfs" || u.Fstype == "ramfs":
		f.Grade, f.Next = Warn, "it is RAM: a power cut loses what waits there. Set data_dir to a folder on flash; spool_flush_every spares it"
	case u.Free < need && k.c.SpoolMaxBytes > 0:
		f.Grade, f.Next = Warn, fmt.Sprintf("the spool may grow to %s: free some space, or lower spool_max_bytes", mega(uint64(k.c.SpoolMaxBytes)))
	}
	k.tell(f)
}

// writable tries the folder; where there is none yet, the one that it will be made in.
func writable(dir string) error {
	for {
		i, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return err
		}
		if !i.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		f, err := os.CreateTemp(dir, ".check-")
		if err != nil {
			return err
		}
		_, err = f.Write(make([]byte, 4096)) // an empty file fits on a full disk
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
}

func (k *checkup) memory(ctx context.Context) {
	f := Finding{Matter: "memory"}
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		f.Grade, f.Found = Warn, "this machine does not tell how much is free"
		k.tell(f)
		return
	}
	f.Found = fmt.Sprintf("%s of %s free; the agent takes about 12 MB", mega(m.Available), mega(m.Total))
	if m.Available < littleMemory {
		f.Grade, f.Next = Warn, "stop what is not needed: the kernel may end the agent when memory runs out"
	}
	k.tell(f)
}

// mega is a number of bytes for a person.
func mega(n uint64) string {
	if n >= 10_000_000_000 {
		return fmt.Sprintf("%.0f GB", float64(n)/1e9)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
