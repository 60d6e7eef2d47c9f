using System.Globalization;
using System.Text;
using CsvHelper;
using CsvHelper.Configuration;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Datasets.Tables;

/// <summary>One row of a table.</summary>
/// <param name="Line">Line of the file on which it starts, from 1.</param>
/// <param name="Values">Its fields, one for each column, without blanks around them.</param>
internal readonly record struct TableRow(int Line, string[] Values)
{
    public string this[int column] => Values[column];
}

/// <summary>
/// A CSV or TSV file, gzip-compressed or not, whose first line names its columns. Comma, semicolon or tab is told by the header line; text is UTF-8. Reads row by
/// row, so a file may be larger than memory.
/// </summary>
internal sealed class TableFile : IDisposable
{
    // Far above any real report; a quote that is never closed would otherwise take the rest of the file into memory.
    private const double MaxFieldChars = 1 << 24;
    private static readonly char[] Delimiters = [',', ';', '\t'];

    private readonly StreamReader _reader;
    private readonly CsvParser _parser;
    private bool _misquoted;

    private TableFile(string path, StreamReader reader, char delimiter)
    {
        (Path, _reader) = (path, reader);
        _parser = new CsvParser(reader, new CsvConfiguration(CultureInfo.InvariantCulture)
        {
            Delimiter = delimiter.ToString(),
            TrimOptions = TrimOptions.Trim,
            MaxFieldSize = MaxFieldChars,
            IgnoreBlankLines = true,
            BadDataFound = _ => _misquoted = true,
        });
    }

    /// <summary>The file, for messages.</summary>
    public string Path { get; }

    /// <summary>Names of the columns, as written.</summary>
    public IReadOnlyList<string> Columns { get; private set; } = [];

    /// <summary>Opens a table and reads its header.</summary>
    /// <param name="path">The file.</param>
    /// <param name="delimiter">What stands between fields; null to tell by the header.</param>
    /// <exception cref="DatasetException">It is not there, is no table, or is empty.</exception>
    public static TableFile Open(string path, char? delimiter = null)
    {
        if (Directory.Exists(path)) throw new DatasetException($"{path}: this is a folder; expected a CSV or TSV file");
        if (!File.Exists(path)) throw new DatasetException($"{path}: not found; expected a CSV or TSV file");
        if (IsSpreadsheet(path)) throw new DatasetException($"{path}: this is a spreadsheet or a zip archive; save it as CSV (UTF-8) first");
        string header;
        using (StreamReader first = Reader(path)) header = Guarded(path, () => first.ReadLine()) ?? "";
        var table = new TableFile(path, Reader(path), delimiter ?? DelimiterOf(header));
        try
        {
            if (!table.Next() || table._parser.Record!.All(name => name.Length == 0)) throw new DatasetException($"{path}: the file is empty; expected a line with the names of its columns");
            table.Columns = table._parser.Record!;
            return table;
        }
        catch
        {
            table.Dispose();
            throw;
        }
    }

    /// <summary>Place of a column, found without regard to case; null where there is none.</summary>
    public int? Find(string name)
    {
        for (int i = 0; i < Columns.Count; i++)
            if (string.Equals(Columns[i], name, StringComparison.OrdinalIgnoreCase)) return i;
        return null;
    }

    /// <summary>Place of a column.</summary>
    /// <exception cref="DatasetException">There is none; the nearest one is named.</exception>
    public int Column(string name, string why = "") => Find(name) ?? throw new DatasetException(
        $"{Path}: {why}there is no column '{name}'; did you mean '{Spelling.Nearest(name, Columns.Where(column => column.Length > 0))}'? (columns: {string.Join(", ", Columns.Where(column => column.Length > 0))})");

    /// <summary>The rows below the header, each once; a row with too few or too many fields goes into the report.</summary>
    /// <exception cref="DatasetException">The file cannot be read on, or a bad row stops the run.</exception>
    public IEnumerable<TableRow> Rows(RowReport report)
    {
        while (true)
        {
            int line = _parser.RawRow + 1;
            if (!Next()) yield break;
            line = Math.Max(line, 1);
            _misquoted = false; // found out when the fields are taken
            string[] fields = _parser.Record!;
            // Some owners end every line with a delimiter more than the header has names.
            int count = fields.Length;
            while (count > Columns.Count && fields[count - 1].Length == 0) count--;
            if (_parser.RawRecord.Count(c => c == '"') % 2 != 0) report.Add($"{Path}: line {line}", "a quote is opened and not closed");
            else if (_misquoted) report.Add($"{Path}: line {line}", "a quote stands inside a field; put the field in quotes and double those inside");
            else if (count != Columns.Count) report.Add($"{Path}: line {line}", $"{count} fields, but the header names {Columns.Count} columns; a text that holds the delimiter needs quotes around it");
            else yield return new TableRow(line, fields);
        }
    }

    public void Dispose()
    {
        _parser.Dispose();
        _reader.Dispose();
    }

    private bool Next() => Guarded(Path, () =>
    {
        try
        {
            return _parser.Read();
        }
        catch (MaxFieldSizeException)
        {
            throw new DatasetException($"{Path}: line {_parser.RawRow}: a field is longer than {MaxFieldChars:0} characters; is a quote not closed?");
        }
    });

    private static T Guarded<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (DecoderFallbackException)
        {
            throw new DatasetException($"{path}: not UTF-8 text; save it as CSV (UTF-8)");
        }
        catch (InvalidDataException error)
        {
            throw new DatasetException($"{path}: the gzip data is damaged or cut off ({error.Message})");
        }
        catch (IOException error)
        {
            throw new DatasetException($"{path}: cannot be read ({error.Message})");
        }
    }

    // What the file is decides, not its name: browsers unpack .gz files and leave them their ending.
    private static StreamReader Reader(string path)
    {
        try
        {
            FileStream file = File.OpenRead(path);
            bool packed = file.ReadByte() == 0x1F && file.ReadByte() == 0x8B && file.Length > 4;
            file.Position = 0;
            return new StreamReader(packed ? new CheckedGzip(file) : file, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DatasetException($"{path}: cannot be read ({error.Message})");
        }
    }

    private static bool IsSpreadsheet(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return stream.ReadByte() == 'P' && stream.ReadByte() == 'K' && stream.ReadByte() == 3;
    }

    private static char DelimiterOf(string header)
    {
        int[] counts = new int[Delimiters.Length];
        bool quoted = false;
        foreach (char c in header)
        {
            if (c == '"') quoted = !quoted;
            else if (!quoted && Array.IndexOf(Delimiters, c) is >= 0 and int at) counts[at]++;
        }

        return Delimiters[Array.IndexOf(counts, counts.Max())];
    }
}
