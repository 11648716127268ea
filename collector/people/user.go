package people

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/smartvillage/nabz/internal/conf"
)

// Role is what a user may do. An operator may do all that a viewer may; the zero Role may nothing.
type Role string

// The roles: a viewer looks, an operator also changes things in the villages.
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
)

// Allows tells whether who has this role may do what needs the other.
func (r Role) Allows(need Role) bool {
	return r == Operator && (need == Operator || need == Viewer) || r == Viewer && need == Viewer
}

// Check refuses what is no role.
func (r Role) Check() error {
	if r != Viewer && r != Operator {
		return fmt.Errorf("role %q is none of viewer, operator", string(r))
	}
	return nil
}

// User is one who may sign in.
type User struct {
	Name string
	Role Role
	hash hash
}

// stamp changes with all that a session rests on: password and role.
func (u User) stamp() [sha256.Size]byte {
	return sha256.Sum256([]byte(u.Name + "\x00" + string(u.Role) + "\x00" + u.hash.String()))
}

// Same tells whether it is still the user that it was, with the same password and role.
func (u User) Same(was User) bool { return u.stamp() == was.stamp() }

var names = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// CheckName refuses what cannot be the name of a user.
func CheckName(name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("user name %q: use a-z, 0-9, \".\", \"_\" and \"-\", beginning with a letter or a digit, at most 63 characters", name)
	}
	return nil
}

// Bounds of a password. 15 characters is what NIST SP 800-63B-4, section 3.1.1.2, asks of one that stands alone.
const (
	minPassword  = 15  // characters
	maxPassword  = 256 // bytes
	minDifferent = 5   // characters
)

// CheckPassword refuses a password that is too easy or that nobody could type. It asks for no mixture of kinds, as NIST advises against that.
func CheckPassword(password string) error {
	different := map[rune]bool{}
	for _, r := range password {
		if unicode.IsControl(r) {
			return errors.New("the password holds a control character, which no sign-in page would send")
		}
		different[r] = true
	}
	switch {
	case !utf8.ValidString(password):
		return errors.New("the password is not UTF-8 text")
	case len(password) > maxPassword:
		return fmt.Errorf("the password has %d bytes, at most %d are allowed", len(password), maxPassword)
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Errorf("the password has %d characters, %d are needed; take four words that do not belong together, or --generate", utf8.RuneCountInString(password), minPassword)
	case len(different) < minDifferent:
		return fmt.Errorf("the password has only %d different characters; take four words that do not belong together, or --generate", len(different))
	}
	return nil
}

// Generate makes a password of 125 random bits, in five groups that can be read out on the telephone.
func Generate() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	text := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	return strings.Join([]string{text[:5], text[5:10], text[10:15], text[15:20], text[20:25]}, "-")
}

// userTable is what users.toml holds.
type userTable struct {
	byName map[string]User
	list   []User // in the order of the file
}

func parseUsers(file string, data []byte) (userTable, error) {
	var f struct {
		User []struct {
			Name     string `toml:"name"`
			Role     string `toml:"role"`
			Password string `toml:"password"`
		} `toml:"user"`
	}
	doc, err := conf.Parse(file, data, &f)
	if doc == nil {
		return userTable{}, err
	}
	faults := []error{err}
	t := userTable{byName: map[string]User{}}
	for i, e := range f.User {
		key := fmt.Sprintf("user[%d].", i)
		u := User{Name: e.Name, Role: Role(e.Role)}
		var err error
		if u.hash, err = parseHash(e.Password); err != nil {
			faults = append(faults, doc.Faultf(key+"password", "%w", err))
		}
		if err := CheckName(u.Name); err != nil {
			faults = append(faults, doc.Faultf(key+"name", "%w", err))
		}
		if err := u.Role.Check(); err != nil {
			faults = append(faults, doc.Faultf(key+"role", "%w", err))
		}
		if _, ok := t.byName[u.Name]; ok {
			faults = append(faults, doc.Faultf(key+"name", "user %q is there twice", u.Name))
		}
		t.byName[u.Name] = u
		t.list = append(t.list, u)
	}
	return t, errors.Join(faults...)
}

// text is the file of these users.
func text(list []User) string {
	b := strings.Builder{}
	b.WriteString("# Who may sign in at the board. Written by \"nabz-collector user\", which keeps no comments.\n")
	for _, u := range list {
		fmt.Fprintf(&b, "\n[[user]]\nname = %q\nrole = %q\npassword = %q\n", u.Name, string(u.Role), u.hash)
	}
	return b.String()
}

// without is the list but for one name.
func without(list []User, name string) []User {
	return slices.DeleteFunc(slices.Clone(list), func(u User) bool { return u.Name == name })
}
