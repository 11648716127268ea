package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/smartvillage/nabz/telemetry/pack"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: traindict FILE ID")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "traindict:", err)
		os.Exit(1)
	}
}

func run(file, number string, out io.Writer) error {
	id, err := strconv.ParseUint(number, 10, 8)
	if err != nil || id == 0 {
		return fmt.Errorf("id %q: give a number from 1 to 255, which takes one byte in each batch", number)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there: agents seal with it, so it never changes; train one with another name and id", file)
	}
	b, err := training{id: uint32(id), size: 6000, samples: 10, tries: 12, mutation: 300, log: out}.train()
	if err != nil {
		return err
	}
	if err := report(b, 1000, out); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".dictionary-*")
	if err != nil {
		return fmt.Errorf("write the dictionary: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write the dictionary: %w", err)
	}
	return nil
}

// report tells how many bytes n batches of each kind take that were not in the training.
func report(b []byte, n int, out io.Writer) error {
	d, err := pack.Open(b)
	if err != nil {
		return err
	}
	p := pack.New(d)
	fmt.Fprintf(out, "dictionary %d: %d bytes\n", d.ID(), len(b))
	for _, k := range kinds() {
		r := rand.New(rand.NewPCG(77, 1))
		text, sealed := 0, 0
		for range n {
			s := batch(k, r)
			text, sealed = text+len(s), sealed+len(p.Append(nil, s))
		}
		fmt.Fprintf(out, "%-8s %5.1f bytes sealed, %6.1f as text\n", k.name, float64(sealed)/float64(n), float64(text)/float64(n))
	}
	return nil
}
