"""The thin HTTP interface: queries read views, commands call one domain function."""
