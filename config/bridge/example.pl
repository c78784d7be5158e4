#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# example.pl - a task server in thirty lines, for PROTOCOL.md: it greets and it counts.
use strict;
use warnings;
use JSON::PP;

open(my $in, '<&=', 3) or die "descriptor 3: $!";
open(my $out, '>&=', 4) or die "descriptor 4: $!";
binmode $_ for $in, $out;
my $json = JSON::PP->new->utf8->allow_nonref->allow_bignum;

sub receive {
    read($in, my $head, 4) == 4 or exit 0;    # the runner has ended
    my $size = unpack 'N', $head;
    read($in, my $text, $size) == $size or exit 0;
    return $json->decode($text);
}

sub answer {
    my $text = $json->encode({@_});
    syswrite($out, pack('N', length $text) . $text) or die "descriptor 4: $!";
}

my %tasks = (
    'example.greet' => sub { return "hello, $_[0]" },
    'example.sum'   => sub { my $sum = 0; $sum += $_ for @_; return $sum },
    'example.fail'  => sub { die "no such thing\n" },
);

receive();                                     # hello
answer(type => 'ready', protocol => 1, name => 'example.pl');
while (my $task = receive()) {
    next if $task->{type} ne 'task';           # a soft limit, which it takes no notice of
    my @answer = (type => 'outcome', id => $task->{id});
    my $code = $tasks{$task->{task}};
    my $value = $code ? eval { $code->(@{$task->{args}}) } : undef;
    push @answer, !$code ? (outcome => 'unknown')
        : $@ ? (outcome => 'fail', exception => {type => 'PerlError', text => $@})
        : (outcome => 'success', value => $value);
    answer(@answer);
}
