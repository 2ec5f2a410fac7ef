package signaling_test

import (
	"os"
	"testing"

	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }
