package memory_test

import (
	"testing"

	"github.com/lockstep-run/lockstep/internal/store"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
}
