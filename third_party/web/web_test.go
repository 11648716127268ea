package web_test

import (
	"testing"

	"github.com/smartvillage/nabz/internal/npmpack/packtest"
	"github.com/smartvillage/nabz/third_party/web"
)

func TestEveryFileIsPinnedAndUnchanged(t *testing.T) { packtest.Pinned(t, "packages.toml", web.Files) }

func TestTheTreeEqualsThePublishedPackages(t *testing.T) {
	packtest.Published(t, "packages.toml", web.Files)
}
