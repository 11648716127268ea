package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"

	"golang.org/x/term"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/people"
)

type userCommand struct {
	Add      userAdd      `cmd:"" help:"Let somebody sign in at the board."`
	List     userList     `cmd:"" help:"Print the users."`
	Password userPassword `cmd:"" help:"Give a user a new password."`
	Remove   userRemove   `cmd:"" help:"Take a user out."`
}

// passwordFlag is how a command comes by a new password.
type passwordFlag struct {
	Generate bool `help:"Make a password and print it, once, instead of reading one from standard input."`
}

type userAdd struct {
	Name string `arg:"" help:"Name to sign in with."`
	Role string `placeholder:"viewer|operator" default:"viewer" help:"viewer, who looks, or operator, who also acts. Default: viewer."`
	passwordFlag
	fileFlag
}

type userList struct{ fileFlag }

type userPassword struct {
	Name string `arg:"" placeholder:"USER" help:"The user."`
	passwordFlag
	fileFlag
}

type userRemove struct {
	Name string `arg:"" placeholder:"USER" help:"The user."`
	fileFlag
}

func (f *fileFlag) people() (*people.People, collector.Config, error) {
	c, _, err := f.read()
	if err != nil {
		return nil, c, err
	}
	p, err := people.Open(c.Users())
	return p, c, err
}

// do asks for a password only for what can be done.
func (a *userAdd) do(ctx context.Context, stdin *os.File, stdout, stderr io.Writer) error {
	p, c, err := a.people()
	if err == nil {
		err = errors.Join(people.CheckName(a.Name), people.Role(a.Role).Check())
	}
	if err != nil {
		return err
	}
	if _, there := p.User(a.Name); there {
		return fmt.Errorf("user %s %w; a new password: nabz-collector user password %s", a.Name, people.ErrExists, a.Name)
	}
	password, err := a.password(ctx, stdin, stderr)
	if err == nil {
		err = p.Add(a.Name, people.Role(a.Role), password)
	}
	if err := recorded(c, "user add", a.Name, "as "+a.Role, err); err != nil {
		return err
	}
	if err := a.show(stdout, password, a.Name); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "user %s may sign in as %s; the hash of the password is in %s\n", a.Name, a.Role, c.Users())
	return err
}

func (l *userList) do(stdout io.Writer) error {
	p, _, err := l.people()
	if err != nil {
		return err
	}
	for _, u := range p.Users() {
		if _, err := fmt.Fprintf(stdout, "%s\t%s\n", u.Name, u.Role); err != nil {
			return err
		}
	}
	return nil
}

func (u *userPassword) do(ctx context.Context, stdin *os.File, stdout, stderr io.Writer) error {
	p, c, err := u.people()
	if err != nil {
		return err
	}
	if _, there := p.User(u.Name); !there {
		return p.SetPassword(u.Name, people.Generate()) // says that there is none
	}
	password, err := u.password(ctx, stdin, stderr)
	if err == nil {
		err = p.SetPassword(u.Name, password)
	}
	if err := recorded(c, "user password", u.Name, "", err); err != nil {
		return err
	}
	if err := u.show(stdout, password, u.Name); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "user %s has a new password, and is signed out everywhere\n", u.Name)
	return err
}

func (u *userRemove) do(stderr io.Writer) error {
	p, c, err := u.people()
	if err != nil {
		return err
	}
	if err := recorded(c, "user remove", u.Name, "", p.Remove(u.Name)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "user %s may not sign in any more, and is signed out everywhere\n", u.Name)
	return err
}

// recorded writes to the audit log what was done to whom; err is that of doing it. What was not done is not worth a line: who types it can edit the file as well.
func recorded(c collector.Config, what, on, detail string, err error) error {
	if err != nil {
		return err
	}
	if err := collector.Audit(c).Record(audit.Entry{Who: "unix:" + typist(), From: "command line", What: what, On: on, Outcome: audit.Done, Detail: detail}); err != nil {
		return fmt.Errorf("it was done, but not recorded: %w", err)
	}
	return nil
}

// typist is who types, behind sudo too.
func typist() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprint(os.Getuid())
}

// show prints a generated password alone on stdout.
func (f *passwordFlag) show(stdout io.Writer, password, name string) error {
	if !f.Generate {
		return nil
	}
	if _, err := fmt.Fprintln(stdout, password); err != nil {
		return fmt.Errorf("the password was made but could not be printed: %w; make another: nabz-collector user password %s --generate", err, name)
	}
	return nil
}

// password generates one, asks for it twice on a terminal without showing it, or reads the first line of a pipe or file.
func (f *passwordFlag) password(ctx context.Context, stdin *os.File, stderr io.Writer) (string, error) {
	if f.Generate {
		return people.Generate(), nil
	}
	if !term.IsTerminal(int(stdin.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(stdin, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password from standard input: %w", err)
		}
		password := strings.TrimRight(line, "\r\n")
		if password == "" {
			return "", errors.New("no password came on standard input; type it at a terminal, or use --generate")
		}
		return password, nil
	}
	first, err := ask(ctx, stdin, stderr, "Password: ")
	if err == nil {
		err = people.CheckPassword(first)
	}
	if err != nil {
		return "", err
	}
	again, err := ask(ctx, stdin, stderr, "The same again: ")
	if err == nil && again != first {
		err = errors.New("the two passwords differ; nothing has changed, try again")
	}
	return first, err
}

// ask reads a line that the terminal does not show. Ctrl-C gives the terminal back as it was.
func ask(ctx context.Context, tty *os.File, stderr io.Writer, prompt string) (string, error) {
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask for the password: %w", err)
	}
	fmt.Fprint(stderr, prompt)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // ends with the process where nothing more is typed
		text, err := term.ReadPassword(fd)
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		fmt.Fprintln(stderr)
		if a.err != nil {
			return "", fmt.Errorf("read the password: %w", a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
		fmt.Fprintln(stderr)
		return "", errors.Join(errors.New("stopped; nothing has changed"), term.Restore(fd, before))
	}
}
