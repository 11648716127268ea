package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// setting is one key of a shipped example, such as "probe.anchors", and its value in TOML.
type setting struct{ key, value string }

func text(s string) string { return strconv.Quote(s) } // ours are paths, addresses and ids: as Go quotes them, TOML reads them

func list(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = text(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// fill puts settings into a shipped example, comments and all. A key that the example does not have is an error.
func fill(example string, settings []setting) (string, error) {
	lines := strings.Split(example, "\n")
	table := ""
	left := slices.Clone(settings)
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if name, ok := strings.CutPrefix(l, "["); ok && strings.HasSuffix(name, "]") {
			table = strings.TrimSuffix(name, "]") + "."
			continue
		}
		key, _, ok := strings.Cut(l, "=")
		if !ok || strings.HasPrefix(l, "#") {
			continue
		}
		full := table + strings.TrimSpace(key)
		if j := slices.IndexFunc(left, func(s setting) bool { return s.key == full }); j >= 0 {
			lines[i] = strings.TrimSpace(key) + " = " + left[j].value
			left = slices.Delete(left, j, j+1)
		}
	}
	for _, s := range left {
		return "", fmt.Errorf("the shipped example has no key %q", s.key)
	}
	return strings.Join(lines, "\n"), nil
}

// writeExample fills an example into a file, whole or not at all.
func writeExample(file, example string, settings []setting) error {
	body, err := fill(example, settings)
	if err == nil {
		err = write(file, "# Written by nabz-demo at each start, from the shipped example.\n"+body, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// write replaces a file whole.
func write(file, body string, mode os.FileMode) error {
	tmp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".new")
	if err := os.WriteFile(tmp, []byte(body), mode); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}
