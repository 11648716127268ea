package people

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/limit"
)

// What may be in the error of a change.
var (
	ErrExists  = errors.New("is already there")
	ErrMissing = errors.New("is not there")
)

// People are the users of the board. They are safe for concurrent use, and take in a changed file by themselves.
type People struct {
	file  string
	table *fleet.Table[userTable]
	cost  cost
	ghost hash          // what the password of a name that does not exist is held against
	work  chan struct{} // one place for each hash under way
	queue chan struct{} // and one for each try, under way or waiting
	tries *limit.Limiter
	known recent
	once  singleflight.Group // tries with the same name and password, by their mark
	count *prometheus.CounterVec
}

// atWork is how many passwords are hashed at once: half of the processors, four at most, so 76 MiB at the usual cost; the board and the intake have the others.
func atWork() int { return max(1, min(4, runtime.GOMAXPROCS(0)/2)) }

// waiting is how many tries may wait for their turn; who comes then is told to come again.
const waiting = 32

// Open reads the file. One that is missing holds nobody, and is taken in when it appears.
func Open(file string) (*People, error) {
	p := &People{file: file, cost: usual, work: make(chan struct{}, atWork()), queue: make(chan struct{}, waiting), tries: limit.New(triesAllowed), known: newRecent(),
		count: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nabz_web_sign_ins_total", Help: "Tries to sign in at the board, by outcome. A script that was known from before is not counted again."}, []string{"outcome"})}
	for _, o := range []string{good, wrong, limited, busy} {
		p.count.WithLabelValues(o)
	}
	var err error
	if p.table, err = fleet.OpenTable(file, parseUsers); err != nil {
		return nil, err
	}
	p.ghost = hash{cost: p.cost}
	return p, nil
}

// LogTo names the logger that hears of a file that was taken in or refused while in use.
func (p *People) LogTo(log *slog.Logger) { p.table.LogTo(log) }

// CountIn registers the counters.
func (p *People) CountIn(r prometheus.Registerer) { r.MustRegister(p.count) }

// Fault is why a changed file was not taken in, or nil. Who was in it before stays.
func (p *People) Fault() error { return p.table.Fault() }

// Users lists them by name.
func (p *People) Users() []User {
	list := slices.Clone(p.table.Value().list)
	slices.SortFunc(list, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// User returns one user; false where there is none of this name.
func (p *People) User(name string) (User, bool) {
	u, ok := p.table.Value().byName[name]
	return u, ok
}

// Add lets a new user sign in.
func (p *People) Add(name string, role Role, password string) error {
	if err := errors.Join(CheckName(name), role.Check(), CheckPassword(password)); err != nil {
		return err
	}
	h := newHash(p.cost, password)
	return p.change(func(t userTable) ([]User, error) {
		if _, ok := t.byName[name]; ok {
			return nil, fmt.Errorf("user %s %w; a new password: nabz-collector user password %s", name, ErrExists, name)
		}
		return append(slices.Clone(t.list), User{name, role, h}), nil
	})
}

// SetPassword gives a user a new password, which ends the sessions of the old one.
func (p *People) SetPassword(name, password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	h := newHash(p.cost, password)
	return p.change(func(t userTable) ([]User, error) {
		list := slices.Clone(t.list)
		i := slices.IndexFunc(list, func(u User) bool { return u.Name == name })
		if i < 0 {
			return nil, p.missing(name)
		}
		list[i].hash = h
		return list, nil
	})
}

// Remove takes a user out, which ends the user's sessions.
func (p *People) Remove(name string) error {
	return p.change(func(t userTable) ([]User, error) {
		if _, ok := t.byName[name]; !ok {
			return nil, p.missing(name)
		}
		return without(t.list, name), nil
	})
}

func (p *People) missing(name string) error {
	return fmt.Errorf("user %s %w in %s; see who is: nabz-collector user list", name, ErrMissing, p.file)
}

func (p *People) change(with func(userTable) ([]User, error)) error {
	return p.table.Change(0o600, func(t userTable, _ string) (string, error) {
		list, err := with(t)
		return text(list), err
	})
}
