package authority

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/smartvillage/nabz/internal/wholefile"
)

// write replaces a PEM file. One that is there and that nobody but its owner may read stays so.
func write(file string, mode os.FileMode, blocks ...*pem.Block) error {
	var b bytes.Buffer
	for _, block := range blocks {
		if err := pem.Encode(&b, block); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := wholefile.Replace(file, b.Bytes(), mode); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
