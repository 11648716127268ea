package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/smartvillage/nabz/internal/wholefile"
	"github.com/smartvillage/nabz/telemetry"
)

// file is the commands on disk: one JSON object a line, of which the last of an id counts. Lines are appended; now and then the file is
// replaced by one that says the same in fewer.
type file struct {
	path  string
	lines int
}

// maxFile bounds what is read, and is more than can be there: of the lines of a command one has data.
const maxFile = 64 << 20

// open reads the file, the oldest command first. A tail that a power cut tore is cut off; a line that is none is told and left out.
func (f *file) open(log *slog.Logger) ([]Command, error) {
	data, err := readFile(f.path)
	if err != nil {
		return nil, err
	}
	all, bad := parse(data)
	f.lines = bytes.Count(data, []byte{'\n'})
	if bad > 0 {
		log.Warn("lines in the file of commands cannot be read and are left out", "file", f.path, "lines", bad)
	}
	if torn := len(data) > 0 && data[len(data)-1] != '\n'; bad > 0 || f.lines > len(all) || torn {
		return all, f.rewrite(all)
	}
	return all, nil
}

func readFile(path string) ([]byte, error) {
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("it is larger than what is ever written there")
	}
	return data, err
}

// parse reads lines; bad counts those that are none.
func parse(data []byte) (all []Command, bad int) {
	at := map[string]int{}
	for line := range bytes.Lines(data) {
		var one Command
		if json.Unmarshal(line, &one) != nil || !one.good() {
			bad++
			continue
		}
		if i, known := at[one.ID]; known {
			all[i] = one
			continue
		}
		at[one.ID] = len(all)
		all = append(all, one)
	}
	return all, bad
}

func (c *Command) good() bool {
	switch c.State {
	case Sent, Accepted, Done, Refused, Failed, Expired:
	default:
		return false
	}
	wire := telemetry.Command{ID: c.ID, Kind: c.Kind, Asked: c.Asked, Life: life}
	return wire.Check() == nil && c.Address().Check() == nil && len(c.Data) <= telemetry.MaxResultData && len(c.Text) <= 2*telemetry.MaxResultText
}

// lineOf is a command as a line of the file. No text of an agent's takes more than twice its length there, on which maxFile rests.
func lineOf(c *Command) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(c)
	return b.Bytes(), err
}

// put appends a line, which is on disk when it returns.
func (f *file) put(c Command) (err error) {
	line, err := lineOf(&c)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	info, err := out.Stat()
	if err != nil {
		return err
	}
	if _, err := out.Write(line); err != nil {
		return errors.Join(err, out.Truncate(info.Size())) // a full disk takes half a line
	}
	f.lines++
	return out.Sync()
}

// rewrite replaces the file by one that says only how things stand.
func (f *file) rewrite(all []Command) error {
	var b bytes.Buffer
	for i := range all {
		line, err := lineOf(&all[i])
		if err != nil {
			return err
		}
		b.Write(line)
	}
	if err := wholefile.Replace(f.path, b.Bytes(), 0o600); err != nil {
		return err
	}
	f.lines = len(all)
	return nil
}
