package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/packaging"
)

func main() { os.Exit(command.Run("packages", run, os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("packages", flag.ContinueOnError)
	fs.SetOutput(stderr)
	version := fs.String("version", "", "stands for the version that the commit tells")
	out := fs.String("out", "bin/packages", "where they go")
	if err := fs.Parse(args); err != nil {
		return command.Usage(err)
	}
	chosen, err := packaging.Choose(fs.Args())
	if err != nil {
		return command.Usage(err)
	}
	source, err := packaging.Look(ctx, ".", *version)
	if err != nil {
		return err
	}
	made, err := packaging.Build(ctx, source, chosen, *out, stderr)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, m := range made {
		if !strings.HasSuffix(m.File, ".cdx.json") {
			fmt.Fprintf(w, "%d\tB\t  %s\n", m.Size, m.File)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "in %s, with SHA256SUMS and what each holds of others (.cdx.json)\nnext: apt install ./%s/FILE.deb, or opkg install FILE.ipk on a router; docs/packages.md\n", *out, *out)
	return err
}
