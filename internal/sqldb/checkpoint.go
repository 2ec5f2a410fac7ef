package sqldb

import (
	"context"
	"database/sql"
	"log/slog"
	"time"
)

// SQLite's log is folded into the file by a connection of its own, so that the
// writer, and all who wait for it, need not wait for that: it writes all over the
// file. Only where the log grows faster than it is folded does the writer do the
// rest, whose next write then begins the log anew.
const (
	foldPages   = 4000                   // of 4 KiB that have come to the log since
	foldAtWrite = 16000                  // length of the log at which the writer folds
	foldPause   = 100 * time.Millisecond // between two looks at the log
)

// folder is that connection and its goroutine.
type folder struct {
	db   *sql.DB // one connection
	log  *slog.Logger
	wake chan struct{} // of capacity 1: something was committed
	stop context.CancelFunc
	done chan struct{}
}

func startFolder(db *sql.DB, log *slog.Logger) *folder {
	ctx, stop := context.WithCancel(context.Background())
	f := &folder{db: db, log: log, wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{})}
	go f.run(ctx)
	return f
}

// committed tells the folder that the log has grown.
func (f *folder) committed() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// close ends the folder; a fold at work is let finish.
func (f *folder) close() error {
	f.stop()
	<-f.done
	return f.db.Close()
}

func (f *folder) run(ctx context.Context) {
	defer close(f.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		if err := f.fold(); err != nil {
			f.log.Warn("the log of the database could not be folded into its file", "err", err)
		}
		pause.Reset(foldPause)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// fold folds the log when enough has come to it.
func (f *folder) fold() error {
	length, folded, err := f.checkpoint("NOOP")
	if err != nil || length-folded < foldPages || length >= foldAtWrite {
		return err // a longer log is the writer's, which would find this one in its way
	}
	_, _, err = f.checkpoint("PASSIVE") // waits for nobody, and nobody for it
	return err
}

// checkpoint returns the pages in the log and how many of them are in the file.
func (f *folder) checkpoint(how string) (length, folded int, err error) {
	var busy int
	err = f.db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+how+")").Scan(&busy, &length, &folded)
	return length, folded, err
}
