// Package view holds what a view is filed under: encoded dimension values and
// time buckets, and how fine buckets roll up into coarse ones.
//
// It knows columns and the definition, and neither events nor stores.
package view
