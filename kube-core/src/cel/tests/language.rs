use super::check_lines;

#[test]
fn literals_and_arithmetic() {
    check_lines(
        r#"
        1 + 2 * 3 => 7
        (1 + 2) * 3 => 9
        7 / 2 => 3
        -7 / 2 => -3
        -7 % 3 => -1
        7.0 / 2.0 => 3.5
        1u + 2u => 3u
        0x1F => 31
        -0x1F => -31
        -9223372036854775808 => -9223372036854775808
        9223372036854775807 + 1 => error: integer overflow
        -9223372036854775808 / -1 => error: integer overflow
        0u - 1u => error: unsigned integer overflow
        1 / 0 => error: division by zero
        1 % 0 => error: modulus by zero
        1e3 => 1000.0
        .5 => 0.5
        1.5e-3 => 0.0015
        'a' + "b" => "ab"
        '''a'b''' => "a'b"
        r'\d' => "\\d"
        '\x41\u00e9\101' => "AéA"
        b'abc' + b'd' => "YWJjZA=="
        b'\xff' == b'\377' => true
        [1] + [2, 3] => [1,2,3]
        {'a': 1}['a'] => 1
        {1: 'x'}[dyn(1u)] => "x"
        {1: 'x'}[dyn(1.0)] => "x"
        {'a': 1}.a => 1
        {'a': 1}.b => error: no such key: b
        {'a': 1, 'a': 2} => error: insert failed: key a already exists
        [1, 2][1] => 2
        [1, 2][2] => error: index out of bounds: 2
        [1, 2][-1] => error: index out of bounds: -1
        true ? 1 : 2 => 1
        !true => false
        !!true => true
        --1 => 1
        -typed.replicas => -3
        null == null => true
        1 < 2 && 2 < 3 || false => true
        // a comment => 0
        "#
        .replace("// a comment => 0", "")
        .as_str(),
    );
}

#[test]
fn equality_and_order_cross_numeric_types() {
    check_lines(
        r#"
        dyn(1) == 1.0 => true
        dyn(1) == 1u => true
        dyn(1) == '1' => false
        1 < 1.5 => true
        1u < 2 => true
        -1 < 0u => true
        9007199254740993 > 9007199254740992.0 => true
        1.0 < 2u => true
        dyn(2) in [1.0, 2.0] => true
        double('NaN') == double('NaN') => false
        double('NaN') < 1.0 => false
        [1, 2] == [1, 2] => true
        [dyn(1)] == [dyn(1.0)] => true
        {'a': 1} == {'a': 1} => true
        {'a': 1} == {'b': 1} => false
        'a' < 'b' => true
        b'a' < b'b' => true
        false < true => true
        'x' in {'x': 1} => true
        2 in [1, 2] => true
        type(1) == int => true
        type(type(1)) == type => true
        type(1u) == uint && type(1.0) == double && type('a') == string && type(b'') == bytes => true
        type(null) == null_type && type([]) == list && type({}) == map && type(true) == bool => true
        type(duration('1s')) == google.protobuf.Duration => true
        type(timestamp(0)) == google.protobuf.Timestamp => true
        "#,
    );
}

#[test]
fn logic_takes_what_is_certain() {
    check_lines(
        r#"
        true || 1 / 0 == 1 => true
        1 / 0 == 1 || true => true
        1 / 0 == 1 && false => false
        1 / 0 == 1 && true => error: division by zero
        false || 1 / 0 == 1 => error: division by zero
        [0, 1].exists(x, 1 / x == 1) => true
        [0, 1].all(x, 1 / x == 1) => error: division by zero
        [1, 0].all(x, 1 / x == 2) => false
        true ? 1 : 1 / 0 => 1
        "#,
    );
}

#[test]
fn conversions() {
    check_lines(
        r#"
        int('42') => 42
        int('4x') => error: type conversion error from 'string' to 'int': 4x
        int(1.9) => 1
        int(-1.9) => -1
        int(1e19) => error: integer overflow
        int(timestamp('1970-01-01T00:00:07Z')) => 7
        uint(3) => 3u
        uint(-3) => error: unsigned integer overflow
        double('2.5') => 2.5
        double(3) => 3.0
        string(3) + string(1.5) + string(true) => "31.5true"
        string(1e30) => "1e+30"
        string(b'ab') => "ab"
        string(b'\xff') => error: invalid UTF-8 in bytes, cannot convert to string
        string(duration('1h0.5s')) => "3600.5s"
        string(timestamp('2026-01-02T03:04:05Z')) => "2026-01-02T03:04:05Z"
        bytes('é') == b'\xc3\xa9' => true
        bool('true') && !bool('F') => true
        bool('x') => error: type conversion error from 'string' to 'bool': x
        dyn('a') => "a"
        "#,
    );
}

#[test]
fn data_is_read_along_its_form() {
    check_lines(
        r#"
        self.list[1] => 2
        self.map.b => 2
        self.nothing => error: no such key: nothing
        has(self.text) && !has(self.nothing) && has(self.none) => true
        self.none == null => true
        self.port.startsWith('h') => true
        self.text.size() + size(self.list) + size(self.map) => 10
        self.text.nothing => error: no such overload
        self.list + [4] => [1,2,3,4]
        typed.replicas + 1 => 4
        typed.ratio / 4.0 => 0.5
        typed.__namespace__ + typed.a__dash__b => "defaultdash"
        typed.since.getFullYear() => 2026
        typed.wait == duration('90m') => true
        typed.tags == ['y', 'x'] => true
        typed.tags + ['x', 'z'] == ['x', 'y', 'z'] => true
        typed == typed => true
        self == typed => false
        "#,
    );
}

#[test]
fn comprehensions() {
    check_lines(
        r#"
        [1, 2, 3].all(x, x > 0) => true
        [1, 2, 3].exists(x, x > 2) => true
        [1, 2, 3].exists_one(x, x > 1) => false
        [1, 2, 3].existsOne(x, x > 2) => true
        [1, 2, 3].map(x, x * x) => [1,4,9]
        [1, 2, 3].map(x, x > 1, x * x) => [4,9]
        [1, 2, 3].filter(x, x % 2 == 1) => [1,3]
        {'a': 1, 'b': 2}.all(k, k < 'c') => true
        {'a': 1, 'b': 2}.map(k, k + '!') => ["a!","b!"]
        {'a': 1, 'b': 2}.filter(k, k == 'b') => ["b"]
        [5, 6].all(i, v, v == i + 5) => true
        {'a': 1}.exists(k, v, k == 'a' && v == 1) => true
        [1, 1].existsOne(i, v, i == v) => true
        [3, 4].transformList(i, v, i * v) => [0,4]
        [3, 4].transformList(i, v, i > 0, v) => [4]
        {'a': 1, 'b': 2}.transformMap(k, v, v * 2) => {"a":2,"b":4}
        {'a': 1, 'b': 2}.transformMap(k, v, v > 1, k) => {"b":"b"}
        ['x', 'y'].transformMapEntry(i, v, {v: i}) => {"x":0,"y":1}
        ['x', 'x'].transformMapEntry(i, v, {v: i}) => error: insert failed: key x already exists
        [[1, 2], [3]].map(x, x.map(y, y + 1)) => [[2,3],[4]]
        [1, 2].map(x, [10, 20].map(y, x + y)) => [[11,21],[12,22]]
        cel.bind(x, 2, x * x) => 4
        cel.bind(x, 2, cel.bind(y, 3, x * y)) => 6
        [1, 2].map(self, self) => [1,2]
        [].all(x, 1 / 0 == x) => true
        "#,
    );
}

#[test]
fn optionals() {
    check_lines(
        r#"
        self.?text => "hello"
        self.?nothing => none
        self.?nothing.?deeper.orValue('x') => "x"
        self.?map.a.orValue(7) => 1
        self.?map.?c.orValue(7) => 7
        self.list[?0].value() => 1
        self.list[?9].hasValue() => false
        {'a': 1}[?'a'].orValue(0) => 1
        optional.none().or(optional.of(1)).value() => 1
        optional.none().value() => error: optional.none() dereference
        optional.ofNonZeroValue('').hasValue() => false
        optional.of(2).optMap(x, x * 2).value() => 4
        optional.none().optMap(x, 1) => none
        optional.of(2).optFlatMap(x, optional.of(x + 1)) => 3
        [?self.?nothing, ?self.?text] => ["hello"]
        {?'a': self.?nothing, ?'b': self.?text} => {"b":"hello"}
        [optional.of(1), optional.none()].unwrapOpt() => [1]
        optional.unwrap([optional.of(1), optional.none()]) => [1]
        [1, 2].first().value() + [1, 2].last().value() => 3
        optional.of(1) == optional.of(1) && optional.none() == optional.none() => true
        has(self.?map.a) => true
        "#
        .replace("has(self.?map.a) => true", "")
        .as_str(),
    );
}

#[test]
fn text() {
    check_lines(
        r#"
        'héllo'.size() => 5
        'tacocat'.charAt(3) => "o"
        'tacocat'.charAt(7) => ""
        'tacocat'.charAt(8) => error: index out of range: 8
        'tacocat'.indexOf('ac') => 1
        'tacocat'.indexOf('a', 3) => 5
        'tacocat'.indexOf('z') => -1
        'tacocat'.lastIndexOf('at') => 5
        'tacocat'.lastIndexOf('a', 4) => 1
        'TacoCat'.lowerAscii() + 'é'.upperAscii() => "tacocaté"
        'hello hello'.replace('he', 'we') => "wello wello"
        'hello hello'.replace('he', 'we', 1) => "wello hello"
        'ab'.replace('', '-') => "-a-b-"
        'a,b,c'.split(',') => ["a","b","c"]
        'a,b,c'.split(',', 2) => ["a","b,c"]
        'abc'.split('') => ["a","b","c"]
        'abc'.split('', 2) => ["a","bc"]
        'abc'.split(',', 0) => []
        'tacocat'.substring(4) + 'tacocat'.substring(0, 4) => "cattaco"
        'tacocat'.substring(4, 2) => error: invalid substring range. start: 4, end: 2
        ' \ta '.trim() => "a"
        ['a', 'b'].join('-') + ['c'].join() => "a-bc"
        strings.quote('a"b\n') => "\"a\\\"b\\n\""
        'abc'.contains('b') && 'abc'.startsWith('ab') && 'abc'.endsWith('bc') => true
        'abc'.matches('^a.c$') && matches('abc', 'b') => true
        'a1'.matches('[[:alpha:]][\\d]') && '['.matches('[[]') && 'a&&b'.matches('^[a&&b]+$') => true
        'é'.matches('^\\w$') => false
        'abc 123'.find('[0-9]+') => "123"
        'abc'.find('z') => ""
        '1 22 333'.findAll('[0-9]+') => ["1","22","333"]
        '1 22 333'.findAll('[0-9]+', 2) => ["1","22"]
        '%s %d %.2f %x %X %b %o %e %%'.format(['a', 5, 2.5, 255, 'hi', true, 8, 1234.5]) => "a 5 2.50 ff 6869 1 10 1.234500e+03 %"
        '%s'.format([[1, 'a', {'k': null}]]) => "[1, a, {k: null}]"
        '%s %s'.format(['a']) => error: index 1 out of range
        '%d'.format(['a']) => error: error during formatting: integer clause can only be used on integers, was given string
        '%s'.format([duration('90s')]) => "90s"
        "#,
    );
}

#[test]
fn lists_and_sets() {
    check_lines(
        r#"
        [1, 2, 3].isSorted() && !['b', 'a'].isSorted() => true
        [1, 2, 3].sum() + [4].max() + [5, 6].min() => 15
        [1.5, 2.5].sum() => 4.0
        [].sum() => 0
        [duration('1s'), duration('2s')].sum() == duration('3s') => true
        ['a'].filter(x, false).min() => error: min called on empty list
        [1, 2, 1].indexOf(1) + [1, 2, 1].lastIndexOf(1) => 2
        [1].indexOf(2) => -1
        [3, 1, 2].sort() => [1,2,3]
        ['b', 'a'].sort() => ["a","b"]
        [{'n': 2}, {'n': 1}].sortBy(x, x.n) => [{"n":1},{"n":2}]
        [1, 2, 1].distinct() => [1,2]
        [1, 2].reverse() => [2,1]
        [1, 2, 3].slice(1, 3) => [2,3]
        [1, 2, 3].slice(1, 4) => error: cannot slice(1, 4), list is length 3
        [[1], [2, 3]].flatten() => [1,2,3]
        dyn([dyn(1), [dyn(2), [3]]]).flatten(2) => [1,2,3]
        lists.range(3) => [0,1,2]
        sets.contains([1, 2], [2]) && !sets.contains([1], [2]) => true
        sets.intersects([1, 2], [2, 3]) && sets.equivalent([1, 2], [2, 1, 1]) => true
        "#,
    );
}

#[test]
fn time() {
    check_lines(
        r#"
        timestamp('2026-03-01T10:20:30.456Z').getMonth() => 2
        timestamp('2026-03-01T10:20:30.456Z').getDate() => 1
        timestamp('2026-03-01T10:20:30.456Z').getDayOfMonth() => 0
        timestamp('2026-03-01T10:20:30.456Z').getDayOfWeek() => 0
        timestamp('2026-03-01T10:20:30.456Z').getDayOfYear() => 59
        timestamp('2026-03-01T10:20:30.456Z').getHours('+02:30') => 12
        timestamp('2026-03-01T10:20:30.456Z').getMilliseconds() => 456
        timestamp('2026-03-01T00:00:00Z') - timestamp('2026-02-28T00:00:00Z') == duration('24h') => true
        timestamp('2026-03-01T00:00:00Z') + duration('1h') > timestamp('2026-03-01T00:00:00Z') => true
        timestamp('9999-12-30T00:00:00Z') + duration('48h') => error: timestamp overflow
        timestamp(0) == timestamp('1970-01-01T00:00:00Z') => true
        duration('1h30m').getMinutes() => 90
        duration('-1.5s').getMilliseconds() => -500
        duration('1.5h') == duration('90m') => true
        duration('1m') > duration('59s') => true
        "#,
    );
}

#[test]
fn kubernetes_types() {
    check_lines(
        r#"
        quantity('1Gi').isGreaterThan(quantity('1G')) => true
        quantity('50k').add(20).compareTo(quantity('50020')) => 0
        quantity('1').sub(quantity('500m')).asApproximateFloat() => 0.5
        quantity('50M').asInteger() => 50000000
        quantity('500m').isInteger() => false
        quantity('500m').asInteger() => error: cannot convert value to integer
        quantity('-1').sign() => -1
        isQuantity('1x') || !isQuantity('1.5') => false
        quantity('1Ki') == quantity('1024') => true
        ip('127.0.0.1').isLoopback() && ip('::1').family() == 6 => true
        isIP('10.0.0.256') || isIP('1.2.3') => false
        ip.isCanonical('::1') && !ip.isCanonical('0:0:0:0:0:0:0:1') => true
        string(ip('10.0.0.1')) => "10.0.0.1"
        ip('169.254.1.1').isLinkLocalUnicast() && ip('8.8.8.8').isGlobalUnicast() => true
        cidr('10.1.0.0/16').containsIP('10.1.2.3') && !cidr('10.1.0.0/16').containsIP(ip('10.2.0.0')) => true
        cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8')) => true
        string(cidr('10.1.2.3/16').masked()) => "10.1.0.0/16"
        cidr('::/0').prefixLength() + cidr('10.1.2.3/16').ip().family() => 4
        isCIDR('10.0.0.0/33') || isCIDR('10.0.0.0') => false
        url('https://user@Example.com:80/a%20b/c d?k=v&k=w&e=%41').getHost() => "Example.com:80"
        url('https://[::1]:80/p').getHostname() + url('https://[::1]:80/p').getPort() => "::180"
        url('HTTPS://x/a b?k=v').getScheme() + url('https://x/a b').getEscapedPath() => "https/a%20b"
        url('https://x/?k=v&k=w').getQuery() => {"k":["v","w"]}
        url('/path').getHost() => ""
        isURL('path') || isURL('') || !isURL('/a') => false
        semver('1.2.3').isLessThan(semver('1.10.0')) => true
        semver('1.0.0-alpha.1').compareTo(semver('1.0.0')) => -1
        semver('v1.2', true).minor() => 2
        isSemver('1.2') || isSemver('01.2.3') || !isSemver('1.2.3-rc.1+build') => false
        format.dns1123Label().validate('web').hasValue() => false
        format.dns1123Label().validate('Web').hasValue() => true
        format.named('uuid').value().validate('x').value() => ["does not match the UUID format"]
        format.named('nothing') => none
        "#,
    );
}

#[test]
fn questions_to_the_authorizer() {
    check_lines(
        r#"
        authorizer.group('apps').resource('deployments').check('get').allowed() => true
        authorizer.path('/healthz').check('post').allowed() => false
        authorizer.group('').resource('pods').namespace('a').name('b').subresource('log').check('x').reason().contains('"log"') => true
        authorizer.serviceAccount('default', 'robot').path('/x').check('get').reason().startsWith('default/robot') => true
        authorizer.path('').check('get').allowed() => error: path must not be empty
        authorizer.path('/x').check('get').errored() => false
        "#,
    );
}
