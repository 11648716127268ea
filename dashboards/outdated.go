package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Outdated names the installed dashboards that are not those of this program, as after an upgrade. Dir is Grafana's configuration, into which Install has
// written. Where their links lead is not judged.
func Outdated(dir string) (files []string, err error) {
	boards := filepath.Join(dir, "provisioning", "dashboards", "nabz")
	for _, d := range All("") {
		file := filepath.Join(boards, d.File())
		was, err := os.ReadFile(file)
		if err != nil {
			files = append(files, d.File())
			continue
		}
		board, err := boardOf(was)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		for _, same := range All(board) {
			if same.File() != d.File() {
				continue
			}
			text, err := same.JSON()
			if err != nil {
				return nil, err
			}
			if !bytes.Equal(text, was) {
				files = append(files, d.File())
			}
		}
	}
	return files, nil
}

// boardOf is where the links of an installed dashboard lead; "" where it has none.
func boardOf(text []byte) (string, error) {
	var d struct {
		Templating struct{ List []struct{ Name, Query any } }
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return "", err
	}
	for _, v := range d.Templating.List {
		if board, ok := v.Query.(string); ok && v.Name == "board" {
			return board, nil
		}
	}
	return "", nil
}
