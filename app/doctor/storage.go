package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"commsd/app"
	"commsd/directory"
	"commsd/internal/blob"
	"commsd/internal/bus"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
)

const (
	littleSpace = 5 << 30   // bytes free below which there is a warning
	noSpace     = 512 << 20 // and a failure
)

// checkFolder looks at the data folder: its rights and its room.
func (d *Doctor) checkFolder(context.Context) {
	const check = "data folder"
	dir := d.cfg.DataDir
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		d.skip(check, "%s is not there yet; the first start makes it", dir)
		dir = filepath.Dir(filepath.Clean(dir))
	} else {
		switch {
		case err != nil:
			d.fail(check, fmt.Sprintf("%s cannot be read (%v)", dir, errors.Unwrap(err)), "run this as the user commsd runs as, or correct data_dir")
			return
		case !info.IsDir():
			d.fail(check, dir+" is no folder", "name a folder as data_dir")
			return
		case info.Mode().Perm()&0o077 != 0:
			d.warn(check, fmt.Sprintf("%s may be entered by others (%04o)", dir, info.Mode().Perm()), "chmod 700 "+dir)
		default:
			probe, err := os.CreateTemp(dir, "doctor-*")
			if err != nil {
				d.fail(check, dir+" cannot be written to", "give the user commsd runs as the right to: chown -R commsd "+dir)
				return
			}
			probe.Close()
			os.Remove(probe.Name())
			d.ok(check, "%s can be written to, by its owner only", dir)
		}
	}
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return // told above where it matters
	}
	free := int64(stat.Bavail) * stat.Bsize //nolint:gosec // no disk has 2^63 blocks
	words := fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30))
	switch {
	case free < noSpace:
		d.fail("disk", words, "make room on the disk of "+dir+": nobody can sign in or write once it is full")
	case free < littleSpace:
		d.warn("disk", words, "make room on the disk of "+dir+" before it is full")
	default:
		d.ok("disk", "%s", words)
	}
}

// checkDatabase looks at the database without changing it.
func (d *Doctor) checkDatabase(ctx context.Context) {
	const check = "database"
	began := time.Now()
	report, err := sqldb.Inspect(ctx, sqldb.Config{URL: d.cfg.Database.URL, DataDir: d.cfg.DataDir}, func(ctx context.Context, tx *sqldb.Tx) error {
		c, err := directory.ReadCensus(ctx, tx)
		d.census = &c
		if d.cfg.TURN.On() {
			d.turnKey, d.turnErr = secret.Peek(ctx, tx, d.keyFile(), app.TURNSecret)
		}
		if err == nil && tx.Dialect() == sqldb.PostgreSQL {
			d.readNodes(ctx, tx)
		}
		return err
	})
	d.report = report
	if err != nil {
		d.failKey(check, err)
		return
	}
	switch {
	case report.Missing:
		d.skip(check, "SQLite, not there yet; the first start makes it")
	case report.Damage != "":
		d.fail(check, "SQLite is damaged: "+report.Damage, "stop commsd, keep a copy of the data folder, and restore the last backup")
	case report.Schema > report.Known:
		d.fail(check, fmt.Sprintf("its schema is %d, this program knows %d", report.Schema, report.Known), "install the newer commsd again, or restore a backup made before it")
	case report.Schema < report.Known:
		d.warn(check, fmt.Sprintf("%s %s has schema %d, this program brings %d", report.Dialect, report.Version, report.Schema, report.Known),
			"make a backup; the next start of this version changes the schema")
	default:
		d.ok(check, "%s %s, schema %d, answered in %d ms", report.Dialect, report.Version, report.Schema, time.Since(began).Milliseconds())
	}
	if report.Lax {
		d.warn("database durability", "synchronous_commit is off: a crash of PostgreSQL may lose what was acknowledged", "set synchronous_commit = on in postgresql.conf")
	}
}

func (d *Doctor) keyFile() string {
	if d.cfg.SecretKeyFile != "" {
		return d.cfg.SecretKeyFile
	}
	return filepath.Join(d.cfg.DataDir, "secret.key")
}

// checkKey looks at the key that seals the secrets.
func (d *Doctor) checkKey(context.Context) {
	const check = "secret key"
	path := d.keyFile()
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.report.Schema > 0:
		d.fail(check, path+" is missing, and the database is sealed with it", "restore it from the backup; without it mail, meetings and sign-in lose their keys")
	case errors.Is(err, fs.ErrNotExist):
		d.skip(check, "%s is not there yet; the first start makes it", path)
	case err != nil:
		d.fail(check, path+" cannot be read", "run this as the user commsd runs as")
	case info.Mode().Perm()&0o077 != 0:
		d.fail(check, fmt.Sprintf("%s may be read by others (%04o)", path, info.Mode().Perm()), "chmod 600 "+path)
	default:
		d.ok(check, "%s; keep a copy of it apart from the database's backup", path)
	}
}

// checkDirectory looks at who administers the installation.
func (d *Doctor) checkDirectory(context.Context) {
	const check = "administrators"
	switch {
	case d.census == nil:
		d.skip(check, "the directory cannot be read yet")
	case d.census.Demo && !d.cfg.Demo:
		d.fail(check, "the demo filled this directory; its password is public", "serve another folder or database, or add --demo")
	case d.census.Administrators == 0:
		d.fail(check, "nobody administers the installation", "commsd agency add, then commsd admin create; docs/directory.md shows both")
	case d.census.Administrators == 1 && !d.cfg.Demo:
		d.warn(check, "one account administers the installation", "appoint a second, so that one lost passkey does not lock everybody out")
	default:
		d.ok(check, "%d accounts administer the installation; %d people", d.census.Administrators, d.census.People)
	}
}

func (d *Doctor) checkRedis(ctx context.Context) {
	const check = "redis"
	if d.cfg.Redis.URL == "" {
		if d.report.Dialect == sqldb.PostgreSQL {
			d.skip(check, "redis.url is empty: right for one node; several hear of each other by polling only")
		}
		return
	}
	began := time.Now()
	b, err := bus.Open(ctx, bus.Config{URL: d.cfg.Redis.URL})
	if err != nil {
		d.failKey(check, err)
		return
	}
	took := time.Since(began)
	if err := b.Close(); err != nil {
		d.warn(check, "the connection did not close: "+oneLine(err), "look at the log of Redis")
		return
	}
	d.ok(check, "answered in %d ms", took.Milliseconds())
}

// checkBlobs writes, reads and removes a probe in the bucket.
func (d *Doctor) checkBlobs(ctx context.Context) {
	const check = "blobs"
	if d.cfg.Blobs.URL == "" {
		return // files of the data folder, which was looked at
	}
	store, err := blob.Open(ctx, blob.Config{URL: d.cfg.Blobs.URL})
	if err != nil {
		d.failKey(check, err)
		return
	}
	probe := []byte("commsd doctor " + d.now().UTC().Format(time.RFC3339Nano))
	ref, err := store.Put(ctx, "doctor", "", bytes.NewReader(probe))
	if err != nil {
		d.fail(check, "the bucket cannot be written to: "+oneLine(err), "give the key of blobs.url the right to put objects")
		return
	}
	r, err := store.Open(ctx, ref)
	if err == nil {
		var back []byte
		back, err = io.ReadAll(r)
		r.Close()
		if err == nil && !bytes.Equal(back, probe) {
			err = errors.New("other bytes came back")
		}
	}
	if err != nil {
		d.fail(check, "the bucket does not give back what it was given: "+oneLine(err), "give the key of blobs.url the right to get objects")
		return
	}
	if _, err := store.Delete(ctx, ref, d.now().Add(time.Hour)); err != nil {
		d.warn(check, "nothing can be removed from the bucket: "+oneLine(err), "give the key of blobs.url the right to delete objects, or the bucket only grows")
		return
	}
	d.ok(check, "the bucket takes, gives back and removes")
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
