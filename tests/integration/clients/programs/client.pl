# Perl's Net::FTP as programs.py drives it: a session from standard input, one line an operation, one line an answer.

use strict;
use warnings;
use Net::FTP;

my ($host, $port, $mode, $login, $password, $authority) = fields(scalar <STDIN>);
my $ftp;

sub fields {
    my ($line) = @_;
    chomp $line;
    return split /\t/, $line, -1;
}

sub begin {
    my @tls = (SSL_ca_file => $authority, SSL_verifycn_name => $host);
    push @tls, (SSL => 1) if $mode eq 'implicit';
    $ftp = Net::FTP->new($host, Port => $port, Passive => 1, Timeout => 20, $mode eq 'clear' ? () : @tls) or die "$@\n";
    must($ftp->starttls) if $mode eq 'explicit';
    must($ftp->login($login, $password));
    must($ftp->prot('P')) if $mode ne 'clear';
    must($ftp->binary);
}

sub must {
    my ($done) = @_;
    die(($ftp ? $ftp->message : '') . " $@ $!\n") unless $done;
    return $done;
}

sub file {
    my ($path, $from) = @_;
    open(my $file, '<:raw', $path) or die "$path: $!\n";
    seek($file, $from, 0);
    return $file;
}

sub aborted {
    my ($data) = @_;
    must($data);
    $data->abort;
}

my %operations = (
    list => sub { my $names = $ftp->ls($_[0]); must($names || $ftp->ok); return map { s{.*/}{}r } @{ $names || [] } },
    put => sub { must($ftp->put($_[0], $_[1])); () },
    get => sub { must($ftp->get($_[0], $_[1])); () },
    resume_get => sub { must($ftp->get($_[0], $_[1], -s $_[1])); () },
    resume_put => sub {
        my $there = must($ftp->size($_[1]));
        $ftp->restart($there);
        must($ftp->put(file($_[0], $there), $_[1]));
        ();
    },
    append => sub { must($ftp->append($_[0], $_[1])); () },
    rename => sub { must($ftp->rename($_[0], $_[1])); () },
    make_directory => sub { must($ftp->mkdir($_[0])); () },
    remove_directory => sub { must($ftp->rmdir($_[0])); () },
    delete => sub { must($ftp->delete($_[0])); () },
    get_time => sub { must($ftp->mdtm($_[0])) },
    set_time => sub { must($ftp->quot('MFMT', "$_[1] $_[0]") == 2); () },
    abort_get => sub {
        my $data = must($ftp->retr($_[0]));
        $data->read(my $buffer, 1000);
        $data->abort;
        must($ftp->get($_[1], $_[2]));
        ();
    },
    abort_put => sub {
        my $data = must($ftp->stor($_[1]));
        my $file = file($_[0], 0);
        for (1 .. 300) {
            read($file, my $buffer, 32768);
            $data->write($buffer, length $buffer);
        }
        $data->abort;
        must($ftp->put($_[2], $_[3]));
        ();
    },
);

$| = 1;
while (my $line = <STDIN>) {
    my ($operation, @arguments) = fields($line);
    my @told = eval { begin() unless $ftp; $operations{$operation}->(@arguments) };
    if (my $error = $@) {
        $error =~ s/\s+/ /g;
        print "error\t$error\n";
    } else {
        print join("\t", 'ok', @told), "\n";
    }
}
$ftp->quit if $ftp;
