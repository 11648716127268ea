package npmpack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/npmpack"
)

// pack makes a package as npm would, and the pin that fits it.
func pack(t *testing.T, files map[string]string) ([]byte, npmpack.Package) {
	t.Helper()
	p := npmpack.Package{Name: "chart", Version: "1.0.0", Files: map[string]string{}}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(text))
		p.Files[name] = hex.EncodeToString(sum[:])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(b.Bytes())
	p.Integrity = "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	return b.Bytes(), p
}

func TestOnlyPinnedFilesComeOutAndOnlyWithTheirHash(t *testing.T) {
	tgz, good := pack(t, map[string]string{"LICENSE": "free", "dist/chart.js": "draw()", "README.md": "read me"})
	delete(good.Files, "README.md")
	change := func(f func(p *npmpack.Package)) npmpack.Package {
		p := good
		p.Files = map[string]string{}
		for k, v := range good.Files {
			p.Files[k] = v
		}
		f(&p)
		return p
	}
	tests := []struct {
		name string
		pin  npmpack.Package
		want string // part of the error
	}{
		{"all as pinned", good, ""},
		{"another package", change(func(p *npmpack.Package) { p.Integrity = "sha512-AAAA" }), "integrity is sha512-"},
		{"another file", change(func(p *npmpack.Package) { p.Files["LICENSE"] = "00" }), "LICENSE of chart 1.0.0: sha256 is"},
		{"a file that is not there", change(func(p *npmpack.Package) { p.Files["dist/x.js"] = "00" }), "chart 1.0.0 has no file dist/x.js"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files, err := tt.pin.Open(tgz)
			if tt.want == "" {
				if err != nil || len(files) != 2 || string(files["dist/chart.js"]) != "draw()" {
					t.Errorf("got %d files, %v; want the two pinned ones", len(files), err)
				}
				return
			}
			if files != nil || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %d files, %v; want none and %q", len(files), err, tt.want)
			}
		})
	}
}

func TestAFolderHoldsWhatIsPinnedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	tgz, p := pack(t, map[string]string{"dist/chart.js": "draw()"})
	if err := p.Write(dir, map[string][]byte{"dist/old.js": []byte("old")}); err != nil {
		t.Fatal(err)
	}
	files, err := p.Open(tgz)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(dir, files); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "chart"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "chart.js" {
		t.Errorf("got %v, %v; want chart.js alone", entries, err)
	}
}
