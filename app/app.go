// Package app is the whole program without its command line: it reads the
// configuration, constructs every part, connects them, and starts and stops
// them in order. main and the end-to-end tests run the same App. It alone may
// import every other package; none of them knows it.
package app
