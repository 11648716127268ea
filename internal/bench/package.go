package bench

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"time"
)

// entry is one file of an archive.
type entry struct {
	name string
	mode int64
	data []byte
}

// packageSize is the size of an OpenWrt package (.ipk) with the program, its unit and its configuration: a tar of two tars, each
// through gzip -9, as opkg-build makes it. The same files give the same size.
func packageSize(program, arch, example string) (int, error) {
	binary, err := os.ReadFile(program)
	if err != nil {
		return 0, err
	}
	control := fmt.Sprintf("Package: nabz-agent\nVersion: 0\nArchitecture: %s\nSection: net\nInstalled-Size: %d\nDescription: takes the pulse of a site's internet link\n", arch, len(binary))
	meta, err := tarball(entry{"./control", 0o644, []byte(control)}, entry{"./conffiles", 0o644, []byte("/etc/nabz/agent.toml\n")})
	if err != nil {
		return 0, err
	}
	data, err := tarball(entry{"./usr/bin/nabz-agent", 0o755, binary}, entry{"./etc/nabz/agent.toml", 0o600, []byte(example)})
	if err != nil {
		return 0, err
	}
	whole, err := tarball(entry{"./debian-binary", 0o644, []byte("2.0\n")}, entry{"./data.tar.gz", 0o644, data}, entry{"./control.tar.gz", 0o644, meta})
	return len(whole), err
}

func tarball(entries ...entry) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, e := range entries {
		if err := t.WriteHeader(&tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := io.Copy(t, bytes.NewReader(e.data)); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
