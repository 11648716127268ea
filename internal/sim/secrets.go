package sim

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/smartvillage/nabz/telemetry"
)

// ReadSecrets reads the agents' credentials: a line "site/agent secret" each; empty lines and those that begin
// with # are skipped.
func ReadSecrets(file string) (map[telemetry.Address]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read secrets: %w; make them with nabz-collector agent add --secret SITE/AGENT", err)
	}
	defer f.Close()
	out := map[telemetry.Address]string{}
	lines := bufio.NewScanner(f)
	for number := 1; lines.Scan(); number++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		words := strings.Fields(text)
		if len(words) != 2 {
			return nil, fmt.Errorf("%s:%d: write a line as \"site/agent secret\"", file, number)
		}
		a, err := telemetry.ParseAddress(words[0])
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, number, err)
		}
		out[a] = words[1]
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read secrets %s: %w", file, err)
	}
	return out, nil
}
