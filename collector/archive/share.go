package archive

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/wholefile"
)

const (
	tokenBytes = 18 // random, 144 bits; 24 characters in an address
	shareEnd   = ".share"
	usedEnd    = ".used"
	maxShare   = 8 << 10              // bytes of a file
	usedEvery  = time.Hour            // the last use is written so rarely
	keepOver   = 365 * 24 * time.Hour // a share that is over is listed for so long
	maxShares  = 10_000               // that are not over
)

var shareID = regexp.MustCompile(`^[0-9a-f]{12}$`)

// ErrShare is the error of a link that leads nowhere: mistyped, revoked or over. Who has it is told no more than that.
var ErrShare = errors.New("this link leads nowhere; ask whoever sent it for another")

// Share lets whoever has its link read one report with all its revisions, so that a correction reaches those to whom the report was given, and nothing else.
type Share struct {
	ID        string    `json:"id"`                   // 12 hex digits; says nothing of the link
	Report    string    `json:"report"`               // its id
	Label     string    `json:"label"`                // for whom or what
	Who       string    `json:"who"`                  // made it
	At        time.Time `json:"at"`                   // when
	Until     time.Time `json:"until,omitzero"`       // zero: without an end
	Revoked   time.Time `json:"revoked,omitzero"`     // zero: it is not
	RevokedBy string    `json:"revoked_by,omitempty"` //
	Token     string    `json:"token_sha256"`         // of the link's token, 64 hex digits

	Used time.Time `json:"-"` // the last time, to the hour; zero: never, or not known
}

// Open tells whether the link works at that time.
func (s *Share) Open(at time.Time) bool {
	return s.Revoked.IsZero() && (s.Until.IsZero() || at.Before(s.Until))
}

// Share makes a link to a report that is published. The token is what its address ends with; it is returned this once, and only its hash is kept. A zero
// until is without an end.
func (a *Archive) Share(report, label, who string, until time.Time) (token string, s Share, err error) {
	fault := func(err error) (string, Share, error) { return "", Share{}, fmt.Errorf("share a report: %w", err) }
	now := a.now().UTC().Truncate(time.Second)
	if _, err := a.Report(report); err != nil {
		return fault(err)
	}
	if err := errors.Join(checkText("label", label), checkText("name of who shares", who)); err != nil {
		return fault(err)
	}
	if !until.IsZero() && !until.After(now) || until.UTC().Year() > 9000 {
		return fault(fmt.Errorf("it would end on %s, which is over", until.Format(time.DateOnly)))
	}
	unlock, err := locked(a.shares)
	if err != nil {
		return fault(err)
	}
	defer unlock()
	if err := a.sweep(now); err != nil {
		return fault(err)
	}
	token = newToken()
	hash := sha256.Sum256([]byte(token))
	s = Share{ID: hex.EncodeToString(hash[:6]), Report: report, Label: label, Who: who, At: now, Until: until.UTC(), Token: hex.EncodeToString(hash[:])}
	if err := wholefile.Create(a.shareFile(s.ID), s.encode(), 0o640); err != nil { // an id that is taken is one in 2⁴⁸, and an error
		return fault(fmt.Errorf("%w; see to the disk and to the owner of %s", err, a.shares))
	}
	return token, s, nil
}

func newToken() string {
	b := make([]byte, tokenBytes)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Follow returns the share of a link's token, if it works now. Every other case is ErrShare, or the error of a disk.
func (a *Archive) Follow(token string) (Share, error) {
	if b, err := base64.RawURLEncoding.Strict().DecodeString(token); err != nil || len(b) != tokenBytes {
		return Share{}, ErrShare
	}
	hash := sha256.Sum256([]byte(token))
	s, err := a.share(hex.EncodeToString(hash[:6]))
	if errors.Is(err, fs.ErrNotExist) {
		return Share{}, ErrShare
	}
	if err != nil {
		return Share{}, fmt.Errorf("follow a link to a report: %w", err)
	}
	kept, _ := hex.DecodeString(s.Token) // it was checked
	if now := a.now(); subtle.ConstantTimeCompare(kept, hash[:]) != 1 || !s.Open(now) {
		return Share{}, ErrShare
	} else if since := now.Sub(s.Used); since >= usedEvery || since < 0 {
		_ = os.WriteFile(a.usedFile(s.ID), []byte(now.UTC().Format(time.RFC3339)), 0o640) // for people to look at; nobody goes by it
	}
	return s, nil
}

// Revoke ends a share by its id. It works no more from the moment at which this returns, in other processes too. One that is revoked already stays as it is.
func (a *Archive) Revoke(id, who string) (s Share, err error) {
	fault := func(err error) (Share, error) { return s, fmt.Errorf("revoke share %q: %w", id, err) }
	if err := checkText("name of who revokes", who); err != nil {
		return fault(err)
	}
	unlock, err := locked(a.shares)
	if err != nil {
		return fault(err)
	}
	defer unlock()
	s, err = a.share(id)
	if errors.Is(err, fs.ErrNotExist) {
		return fault(fmt.Errorf("%w; nabz-collector report shares names those that are there", ErrNone))
	}
	if err != nil || !s.Revoked.IsZero() {
		return s, err
	}
	s.Revoked, s.RevokedBy = a.now().UTC().Truncate(time.Second), who
	if err := wholefile.Replace(a.shareFile(id), s.encode(), 0o640); err != nil {
		return fault(err)
	}
	return s, nil
}

// Shares lists the shares, the one made last first, with those that ended or were revoked within a year. A file that is damaged is named by the error, and the others are listed all the same.
func (a *Archive) Shares() (all []Share, err error) {
	names, err := os.ReadDir(a.shares)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	faults := []error{err}
	for _, d := range names {
		id, ok := strings.CutSuffix(d.Name(), shareEnd)
		if !ok || !shareID.MatchString(id) {
			continue
		}
		s, err := a.share(id)
		switch {
		case errors.Is(err, fs.ErrNotExist): // swept out meanwhile
		case err != nil:
			faults = append(faults, err)
		default:
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(x, y Share) int {
		if c := y.At.Compare(x.At); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return all, errors.Join(faults...)
}

// sweep forgets shares that have been over for long, and sees to it that there is room for one more.
func (a *Archive) sweep(now time.Time) error {
	all, _ := a.Shares() // one that is damaged works for nobody
	open := 0
	for _, s := range all {
		over := s.Revoked
		if over.IsZero() {
			over = s.Until
		}
		switch {
		case s.Open(now):
			open++
		case now.Sub(over) > keepOver:
			for _, file := range []string{a.shareFile(s.ID), a.usedFile(s.ID)} {
				if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	if open >= maxShares {
		return fmt.Errorf("there are %d already, which are the most; revoke some", open)
	}
	return nil
}

func (a *Archive) shareFile(id string) string { return filepath.Join(a.shares, id+shareEnd) }
func (a *Archive) usedFile(id string) string  { return filepath.Join(a.shares, id+usedEnd) }

// share reads one share.
func (a *Archive) share(id string) (Share, error) {
	if !shareID.MatchString(id) {
		return Share{}, fs.ErrNotExist
	}
	data, err := readMost(a.shareFile(id), maxShare)
	if err != nil {
		return Share{}, err
	}
	s, err := decodeShare(data, id)
	if err != nil {
		return Share{}, fmt.Errorf("%s %w: %w; revoke what it was for by removing the file, and share anew", a.shareFile(id), ErrDamaged, err)
	}
	if data, err := readMost(a.usedFile(id), 64); err == nil {
		s.Used, _ = time.Parse(time.RFC3339, string(data)) // torn: not known
	}
	return s, nil
}

func (s *Share) encode() []byte {
	line, err := json.Marshal(s)
	if err != nil { // years were checked
		panic(err)
	}
	return sealed(line)
}

// decodeShare takes what encode wrote for that id, and nothing else.
func decodeShare(data []byte, id string) (s Share, err error) {
	line, ok := unsealed(data)
	if !ok {
		return s, errors.New("its checksum is another")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, err
	}
	hash, err := hex.DecodeString(s.Token)
	if err != nil || len(hash) != sha256.Size || s.ID != id || hex.EncodeToString(hash[:6]) != id {
		return s, errors.New("it is of another link")
	}
	return s, CheckID(s.Report)
}
