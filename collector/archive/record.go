package archive

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
	"strconv"
	"strings"
)

// Of each report there is a folder: each document under its own hash as a name, so that sha256sum proves it, and a record for each revision, which says
// which document it is. A revision is there when its record is.
const (
	documentEnd = ".json"
	recordEnd   = ".revision"
	maxRecord   = 1 << 20 // bytes
)

func documentName(sum string) string { return sum + documentEnd }

func recordName(number int) string { return strconv.Itoa(number) + recordEnd }

// recordNumber is the revision of a file's name, or 0.
func recordNumber(name string) int {
	text, ok := strings.CutSuffix(name, recordEnd)
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 1 || n > MaxRevisions || recordName(n) != name {
		return 0
	}
	return n
}

// encode is the record of a revision: a line of JSON, and a line with the hash of the first.
func (r *Revision) encode() []byte {
	line, err := json.Marshal(r)
	if err != nil { // years were checked, and changes are JSON as it was read
		panic(err)
	}
	return sealed(line)
}

// sealed puts the hash of a line behind it.
func sealed(line []byte) []byte {
	sum := sha256.Sum256(line)
	return fmt.Appendf(nil, "%s\nsha256 %x\n", line, sum)
}

// unsealed is the line of what sealed made, and of nothing else.
func unsealed(data []byte) ([]byte, bool) {
	line, _, ok := bytes.Cut(data, []byte("\n"))
	return line, ok && bytes.Equal(data, sealed(line))
}

// decodeRecord takes what encode wrote for that report and number, and nothing else.
func decodeRecord(data []byte, id string, number int) (r Revision, err error) {
	line, ok := unsealed(data)
	if !ok {
		return r, errors.New("its checksum is another")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	sum, err := hex.DecodeString(r.SHA256)
	if err != nil || len(sum) != sha256.Size || hex.EncodeToString(sum) != r.SHA256 || r.Bytes < 0 || r.Bytes > MaxDocument {
		return r, errors.New("it names no document")
	}
	if r.ID != id || r.Number != number {
		return r, fmt.Errorf("it is of %s", r.Permalink())
	}
	return r, r.Meta.check()
}

// record reads the record of a revision.
func record(dir, id string, number int) (Revision, error) {
	file := filepath.Join(dir, recordName(number))
	data, err := readMost(file, maxRecord)
	if err != nil {
		return Revision{}, err
	}
	r, err := decodeRecord(data, id, number)
	if err != nil {
		return Revision{}, damaged(file, err.Error())
	}
	return r, nil
}

// document reads a document, which has to have that hash and length.
func document(file, sum string, size int64) ([]byte, error) {
	data, err := readMost(file, MaxDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damaged(file, "it is not there any more")
	}
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum || int64(len(data)) != size {
		return nil, damaged(file, "its bytes have another SHA-256 than was published")
	}
	return data, nil
}

func damaged(file, why string) error {
	return fmt.Errorf("%s %w: %s; put the file back from a backup", file, ErrDamaged, why)
}

// readMost reads a file of so many bytes at most.
func readMost(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, damaged(file, fmt.Sprintf("it is no file of %d bytes at most", most))
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, damaged(file, err.Error())
	}
	return data, nil
}
