/* SPDX-License-Identifier: MIT */
/* not_a_plugin.c - a shared object that exports something else. */
extern int not_a_plugin;
int not_a_plugin = 1;
