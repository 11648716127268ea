package checkup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	littleRoom = 500 << 20 // for dead letters, reports and the audit log; InfluxDB wants far more where it lies on the same disk
	mostFiles  = 20_000    // of the data folder that are looked at
)

// who is as whom the collector works, in words.
func (k *checkup) who() string {
	if k.as == nil {
		return "this user"
	}
	return "user " + k.as.name
}

// readable tells why the service's user may not read a file.
func (k *checkup) readable(file string) error {
	return k.as.do(func() error {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		return f.Close()
	})
}

// configuration is right, or this check would not run; it still has to be read by the service, and by nobody else.
func (k *checkup) configuration(context.Context) {
	f := Finding{Matter: "configuration", Found: fmt.Sprintf("%s: role %s, InfluxDB at %s, data in %s", k.File, k.c.Role, k.c.Influx.URL, k.c.DataDir)}
	info, err := os.Stat(k.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Grade, f.Found, f.Next = Warn, "there is no "+k.File+"; these are the defaults", "nabz-collector init --host noc.example.org makes one, with your host name"
	case err != nil:
		f.Grade, f.Found, f.Next = Fail, err.Error(), "check as root"
	case k.c.Influx.Token != "" && info.Mode().Perm()&0o007 != 0:
		f.Grade, f.Found, f.Next = Fail, k.File+" may be read by everybody, and holds InfluxDB's credential", fmt.Sprintf("chown root:%s %s; chmod 640 %s", k.Service, k.File, k.File)
	default:
		if err := k.readable(k.File); err != nil {
			f.Grade, f.Found, f.Next = Fail, k.who()+" may not read it: "+err.Error(), fmt.Sprintf("chown root:%s %s; chmod 640 %s", k.Service, k.File, k.File)
		}
	}
	k.tell(f)
}

// data looks at the collector's own folder, with the rights of its user.
func (k *checkup) data(context.Context) {
	dir := k.c.DataDir
	f := Finding{Matter: "data folder"}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Grade, f.Found, f.Next = Fail, dir+" is missing", fmt.Sprintf("systemctl start nabz-collector makes it; by hand: install -d -o %s -g %s -m 750 %s", k.Service, k.Service, dir)
	case err != nil:
		f.Grade, f.Found, f.Next = Fail, err.Error(), "check as root, or as the collector's user"
	case !info.IsDir():
		f.Grade, f.Found, f.Next = Fail, dir+" is not a folder", "set data_dir to a folder"
	default:
		f = k.writes(dir)
	}
	k.tell(f)
	if f.Grade != Fail {
		k.contents(dir)
	}
}

// writes tries to write into the folder.
func (k *checkup) writes(dir string) Finding {
	f := Finding{Matter: "data folder"}
	err := k.as.do(func() error {
		t, err := os.CreateTemp(dir, ".check-")
		if err != nil {
			return err
		}
		_, err = t.Write(make([]byte, 4096)) // an empty file fits on a full disk
		return errors.Join(err, t.Close(), os.Remove(t.Name()))
	})
	switch {
	case errors.Is(err, syscall.ENOSPC):
		f.Grade, f.Found, f.Next = Fail, "the disk of "+dir+" is full", "free space there: du -xh --max-depth=2 / | sort -h | tail shows what is large"
	case errors.Is(err, syscall.EROFS):
		f.Grade, f.Found, f.Next = Fail, dir+" is mounted read-only", "dmesg says why; a disk with faults is mounted so"
	case err != nil:
		f.Grade, f.Found, f.Next = Fail, k.who()+" may not write there: "+err.Error(), fmt.Sprintf("chown -R %s:%s %s", k.Service, k.Service, dir)
	}
	if err != nil {
		return f
	}
	f.Found = dir + " is writable for " + k.who()
	free, err := room(dir)
	if err != nil {
		return f
	}
	f.Found += fmt.Sprintf(", %.1f GB free", float64(free)/1e9)
	if free < littleRoom {
		f.Grade, f.Next = Warn, "free some space: below 500 MB InfluxDB, where it is on this disk, stops soon, and then nothing is acknowledged"
	}
	return f
}

// contents looks for what root has left there that the collector's user cannot read or go on writing.
func (k *checkup) contents(dir string) {
	var first string
	n, seen := 0, 0
	err := k.as.do(func() error {
		return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if seen++; seen > mostFiles {
				return fs.SkipAll
			}
			switch {
			case err != nil:
			case d.IsDir(), strings.HasSuffix(path, ".jsonl"): // those are written on at their end; others are replaced whole
				err = mayWrite(path)
			case d.Type().IsRegular():
				var f *os.File
				if f, err = os.Open(path); err == nil {
					err = f.Close()
				}
			}
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if n++; n == 1 {
				first = err.Error()
			}
			return nil
		})
	})
	if err == nil && n == 0 {
		return
	}
	if err != nil {
		first = err.Error()
	}
	k.tell(Finding{Matter: "data folder", Grade: Fail, Found: fmt.Sprintf("%s cannot use %d of its files, such as: %s", k.who(), max(n, 1), first),
		Next: fmt.Sprintf("chown -R %s:%s %s", k.Service, k.Service, k.c.DataDir)})
}
