// Package sql turns a definition's views and a plan's cut into the SQL of one
// engine; each dialect is a file.
//
// SQL only selects, groups and adds up columns that the row logic has made: no
// expression of the user's is in it, every identifier is quoted, every value is
// a quoted literal. It knows the layouts of the master dataset and of view
// files, and neither engines nor stores.
package sql
