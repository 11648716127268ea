package fonts_test

import (
	"testing"

	"github.com/smartvillage/nabz/internal/npmpack/packtest"
	"github.com/smartvillage/nabz/third_party/fonts"
)

func TestEveryFileIsPinnedAndUnchanged(t *testing.T) {
	packtest.Pinned(t, "packages.toml", fonts.Files)
}

func TestTheTreeEqualsThePublishedPackages(t *testing.T) {
	packtest.Published(t, "packages.toml", fonts.Files)
}
