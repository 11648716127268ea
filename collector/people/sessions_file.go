package people

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/wholefile"
)

// maxSessionsFile bounds what is read, in bytes; the most sessions take a fifth of it.
const maxSessionsFile = 4 << 20

// sessionLine is one session as it lies on the disk: one JSON object a line.
type sessionLine struct {
	Token string    `json:"token_sha256"`
	User  string    `json:"user"`
	Stamp string    `json:"stamp"`
	Made  time.Time `json:"made"`
	Used  time.Time `json:"used"`
}

// formatSessions is the same text for the same sessions.
func formatSessions(all map[[sha256.Size]byte]*session) []byte {
	var lines []string
	for key, one := range all {
		b, err := json.Marshal(sessionLine{hex.EncodeToString(key[:]), one.user, hex.EncodeToString(one.stamp[:]), one.made.UTC(), one.used.UTC()})
		if err != nil { // a year that JSON has no word for
			continue
		}
		lines = append(lines, string(b)+"\n")
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// parseSessions takes what formatSessions wrote, and nothing else.
func parseSessions(data []byte) (map[[sha256.Size]byte]*session, error) {
	all := map[[sha256.Size]byte]*session{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	for {
		var l sessionLine
		switch err := d.Decode(&l); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case len(all) == maxSessions:
			return nil, fmt.Errorf("holds more than %d sessions", maxSessions)
		}
		key, err1 := hex.DecodeString(l.Token)
		stamp, err2 := hex.DecodeString(l.Stamp)
		if err1 != nil || err2 != nil || len(key) != sha256.Size || len(stamp) != sha256.Size || CheckName(l.User) != nil {
			return nil, fmt.Errorf("session %d is malformed", len(all)+1)
		}
		all[[sha256.Size]byte(key)] = &session{l.User, [sha256.Size]byte(stamp), l.Made, l.Used}
	}
}

func readSessions(file string) (map[[sha256.Size]byte]*session, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSessionsFile+1))
	if err == nil && len(data) > maxSessionsFile {
		err = fmt.Errorf("has more than %d bytes", maxSessionsFile)
	}
	if err != nil {
		return nil, err
	}
	return parseSessions(data)
}

func writeSessions(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return err
	}
	return wholefile.Replace(file, data, 0o600)
}
