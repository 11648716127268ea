package agent

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/smartvillage/nabz/internal/wholefile"
	"github.com/smartvillage/nabz/telemetry"
)

// The file holds the answers to commands, each as it is sent, without its data. It is written twice for a speed test that the NOC asks for.
const (
	ordersName = "commands"
	maxOrdersB = maxOrders * (telemetry.MaxResultText + 128) // bytes
)

// brokenOff is what became of a command that the run before had begun and not ended.
const brokenOff = "the agent was ended meanwhile, by a power cut perhaps; what a speed test has cost until then counts; ask again"

// loadOrders reads what the run before knew of commands. One that it had begun is not begun again.
func (a *agent) loadOrders() {
	file := filepath.Join(a.c.DataDir, ordersName)
	in, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(in, maxOrdersB+1))
		err = errors.Join(err, in.Close())
	}
	if err != nil || len(data) > maxOrdersB {
		a.log.Warn("the commands of the run before cannot be read", "file", file, "err", err)
		return
	}
	known, bad := parseOrders(data)
	if bad > 0 {
		a.log.Warn("lines of the commands of the run before are damaged and left out", "file", file, "lines", bad)
	}
	a.orders.known = known
}

// parseOrders reads answers line by line; bad counts those that are none.
func parseOrders(data []byte) (known []telemetry.Result, bad int) {
	for line := range bytes.Lines(data) {
		r, err := telemetry.ParseResult(bytes.TrimSuffix(line, []byte{'\n'}))
		if err != nil || len(known) == maxOrders {
			bad++
			continue
		}
		if r.State == telemetry.ResultAccepted {
			r.State, r.Text = telemetry.ResultFailed, brokenOff
		}
		known = append(known, r)
	}
	return known, bad
}

// saveOrders replaces the file. The mutex is held.
func (a *agent) saveOrders() error {
	return wholefile.Replace(filepath.Join(a.c.DataDir, ordersName), formatOrders(a.orders.known), 0o600)
}

func formatOrders(known []telemetry.Result) []byte {
	var b []byte
	for _, r := range known {
		r.Data = nil
		b = append(r.Append(b), '\n')
	}
	return b
}
