package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/smartvillage/nabz/internal/npmpack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: getweb DIR")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("find npm: %w; apt-get install npm", err)
	}
	packages, err := npmpack.Read(filepath.Join(dir, "packages.toml"))
	if err != nil {
		return err
	}
	for _, p := range packages {
		files, err := p.Fetch(ctx, npm)
		if err != nil {
			return err
		}
		if err := p.Write(dir, files); err != nil {
			return fmt.Errorf("write %s: %w", p.Name, err)
		}
		fmt.Printf("%s %s: %d files\n", p.Name, p.Version, len(files))
	}
	return nil
}
