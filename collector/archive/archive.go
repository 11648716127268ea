package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/smartvillage/nabz/internal/wholefile"
	"github.com/smartvillage/nabz/telemetry"
)

// The bounds of what is kept.
const (
	MaxDocument  = 32 << 20 // bytes of a report
	MaxRevisions = 10_000   // of one report
	MaxText      = 300      // bytes of a title, a name, a label
)

var (
	// ErrNone is in the error of a report, a revision or a share that is not there.
	ErrNone = errors.New("there is none")
	// ErrDamaged is in the error of a file that is not what was written. It names the file.
	ErrDamaged = errors.New("is damaged")
)

// Meta is what is known of a report when it is published.
type Meta struct {
	ID    string    `json:"id"` // such as "2026-10-all": a-z, 0-9 and "-", at most 63; its permanent name
	Title string    `json:"title"`
	From  time.Time `json:"from"` // the period, To exclusive
	To    time.Time `json:"to"`
	Who   string    `json:"who"` // published it
	At    time.Time `json:"at"`  // when
}

// Revision is one published version of a report. Nothing of it ever changes.
type Revision struct {
	Meta
	Number  int     `json:"revision"` // from 1
	SHA256  string  `json:"sha256"`   // of the document, 64 hex digits
	Bytes   int64   `json:"bytes"`    // of the document
	Changes Changes `json:"changes"`  // against the revision before; long values are cut
	Note    string  `json:"note,omitempty"`
}

// Permalink names this revision for ever: the id and the number, as "2026-10-all/2".
func (r Revision) Permalink() string { return fmt.Sprintf("%s/%d", r.ID, r.Number) }

// Archive is the folder of published reports. It is safe for concurrent use and for several processes.
type Archive struct {
	reports, shares string
	now             func() time.Time
}

// New is the archive below that folder, in which what is needed is made with the first report.
func New(dir string, now func() time.Time) *Archive {
	return &Archive{reports: filepath.Join(dir, "reports"), shares: filepath.Join(dir, "report-shares"), now: now}
}

// CheckID reports what is wrong with the id of a report.
func CheckID(id string) error { return telemetry.CheckID("report", id) }

func (m *Meta) check() error {
	faults := []error{CheckID(m.ID), checkText("title", m.Title), checkText("name of who publishes", m.Who)}
	if !m.From.Before(m.To) {
		faults = append(faults, errors.New("its period has no length"))
	}
	for _, t := range []time.Time{m.From, m.To, m.At} {
		if y := t.UTC().Year(); y < 1970 || y > 9000 {
			faults = append(faults, fmt.Errorf("%d is no year for a report", y))
			break
		}
	}
	return errors.Join(faults...)
}

func checkText(what, s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("the %s is empty", what)
	case len(s) > MaxText:
		return fmt.Errorf("the %s has %d bytes; at most %d are allowed", what, len(s), MaxText)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("the %s holds what is no text on one line", what)
	}
	return nil
}

// Publish keeps a document for ever, exactly as given. Where the newest revision of that report has the same bytes it returns that one, and fresh is false;
// otherwise there is a revision more, which lists what it changes.
func (a *Archive) Publish(doc []byte, m Meta) (r Revision, fresh bool, err error) {
	m.From, m.To, m.At = m.From.UTC(), m.To.UTC(), m.At.UTC()
	if err := m.check(); err != nil {
		return r, false, fmt.Errorf("publish a report: %w", err)
	}
	if len(doc) > MaxDocument {
		return r, false, fmt.Errorf("publish %s: it has %d bytes, and %d are the most; choose a shorter period or fewer sites", m.ID, len(doc), MaxDocument)
	}
	if !isObject(doc) {
		return r, false, fmt.Errorf("publish %s: it is not a JSON object", m.ID)
	}
	r, fresh, err = a.publish(doc, m)
	if err != nil {
		return r, false, fmt.Errorf("publish %s: %w; see to the disk and to the owner of %s. Nothing was published", m.ID, err, a.reports)
	}
	return r, fresh, nil
}

func (a *Archive) publish(doc []byte, m Meta) (Revision, bool, error) {
	dir := filepath.Join(a.reports, m.ID)
	unlock, err := locked(dir)
	if err != nil {
		return Revision{}, false, err
	}
	defer unlock()
	sum := sha256.Sum256(doc)
	next := Revision{Meta: m, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(doc))}
	if err := keep(filepath.Join(dir, documentName(next.SHA256)), next.SHA256, doc); err != nil {
		return next, false, err
	}
	newest, err := newestOf(dir)
	if err != nil {
		return next, false, err
	}
	if newest > 0 {
		switch before, old, err := a.read(m.ID, newest); {
		case errors.Is(err, ErrDamaged):
			next.Note = fmt.Sprintf("what it changes is not known: revision %d is damaged", newest)
		case err != nil:
			return next, false, err
		case before.SHA256 == next.SHA256:
			return before, false, nil
		default:
			if next.Changes, err = Diff(old, doc, MostChanges); err != nil {
				return next, false, err
			}
			next.Changes.cut()
		}
	}
	if next.Number = newest + 1; next.Number > MaxRevisions {
		return next, false, fmt.Errorf("it has %d revisions, which are the most", MaxRevisions)
	}
	err = wholefile.Create(filepath.Join(dir, recordName(next.Number)), next.encode(), 0o440)
	return next, err == nil, err
}

// keep puts a document under its hash. One that is there already is the same, or damaged and made good again.
func keep(file, sum string, doc []byte) error {
	err := wholefile.Create(file, doc, 0o440)
	if errors.Is(err, fs.ErrExist) {
		if _, err = document(file, sum, int64(len(doc))); errors.Is(err, ErrDamaged) {
			err = wholefile.Replace(file, doc, 0o440)
		}
	}
	return err
}

// locked makes a folder where there is none, waits until no other process writes into it, and sweeps out what a kill left half-written.
func locked(dir string) (unlock func(), err error) {
	if err := wholefile.Folder(dir, 0o750); err != nil {
		return nil, err
	}
	if unlock, err = wholefile.Lock(dir); err != nil {
		return nil, err
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.new")) // the pattern is right
	for _, name := range left {
		_ = os.Remove(name) // or the next time
	}
	return unlock, nil
}
