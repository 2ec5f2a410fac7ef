package testengine

import "syscall"

// memoryNeeds is what must be free in the folder in memory: PostgreSQL's
// databases and its log, and the temporary files of the packages tested at a
// time, with room to spare.
const memoryNeeds = 3 << 30

// MemoryDir returns the system's folder in memory where it has 3 GiB free, or
// "". A test makes and drops a database of hundreds of files, which on a disk
// that others use as well takes seconds, and in memory a fifth of one.
func MemoryDir() string {
	const dir = "/dev/shm"
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Type != tmpfsMagic || fs.Bavail*uint64(fs.Bsize) < memoryNeeds {
		return ""
	}
	return dir
}

// tmpfsMagic is statfs(2)'s number for such a file system.
const tmpfsMagic = 0x01021994
