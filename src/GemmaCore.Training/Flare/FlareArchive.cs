using System.IO.Compression;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Flare;

/// <summary>
/// Unpacks the picture archives that lie beside question files. Everything an archive declares is looked at before a byte is written: members that would leave
/// the folder, links, and sizes. What it then really holds is counted as well, because a declared size may lie.
/// </summary>
public static class FlareArchive
{
    /// <summary>Largest sum of unpacked sizes unless a caller allows more: the whole of FLARE's pictures is below it.</summary>
    public const long DefaultMaxBytes = 64L << 30;

    // Pictures hardly shrink; deflate reaches 1000 on zeros.
    private const int MostRatio = 200;
    private const int CopyBytes = 1 << 16, UnixLink = 0xA000, UnixType = 0xF000;

    /// <summary>Unpacks an archive into a folder, which is whole afterwards or as it was before.</summary>
    /// <param name="archive">The zip file.</param>
    /// <param name="folder">Where its members go; made if missing.</param>
    /// <param name="maxBytes">Most bytes to write.</param>
    /// <returns>Files written; 0 where all were there already.</returns>
    /// <exception cref="DatasetException">The archive is damaged, would write elsewhere, or holds too much.</exception>
    public static int Unpack(string archive, string folder, long maxBytes = DefaultMaxBytes)
    {
        string partial = Path.GetFullPath(folder) + ".unpacking";
        try
        {
            using ZipArchive zip = Open(archive);
            List<(ZipArchiveEntry Entry, string Path)> members = Members(zip, archive, folder, maxBytes);
            if (members.All(member => File.Exists(Path.Combine(folder, member.Path)) && new FileInfo(Path.Combine(folder, member.Path)).Length == member.Entry.Length)) return 0;
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
            long left = maxBytes;
            foreach ((ZipArchiveEntry entry, string path) in members)
            {
                string target = Path.Combine(partial, path);
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                left -= Copy(entry, target, left, archive);
            }

            Move(partial, folder);
            return members.Count;
        }
        catch (InvalidDataException error)
        {
            throw new DatasetException($"{archive}: damaged or cut off ({error.Message}); copy it again");
        }
        finally
        {
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
        }
    }

    private static ZipArchive Open(string archive)
    {
        try
        {
            return ZipFile.OpenRead(archive);
        }
        catch (InvalidDataException error)
        {
            throw new DatasetException($"{archive}: not a zip archive, or cut off ({error.Message}); copy it again");
        }
    }

    private static List<(ZipArchiveEntry Entry, string Path)> Members(ZipArchive zip, string archive, string folder, long maxBytes)
    {
        string root = Path.GetFullPath(folder) + Path.DirectorySeparatorChar;
        long total = 0, packed = 0;
        var members = new List<(ZipArchiveEntry, string)>();
        foreach (ZipArchiveEntry entry in zip.Entries)
        {
            string name = entry.FullName.Replace('\\', '/');
            if (name.EndsWith('/')) continue;
            if (name.Contains('\0', StringComparison.Ordinal) || Path.IsPathRooted(name) || name.Contains(':', StringComparison.Ordinal)
                || !Path.GetFullPath(Path.Combine(root, name)).StartsWith(root, StringComparison.Ordinal))
                throw new DatasetException($"{archive}: member '{entry.FullName}' would be written outside its folder; the archive is refused");
            if (((entry.ExternalAttributes >> 16) & UnixType) == UnixLink)
                throw new DatasetException($"{archive}: member '{entry.FullName}' is a link; the archive is refused");
            total += entry.Length;
            packed += entry.CompressedLength;
            if (total < 0 || total > maxBytes)
                throw new DatasetException($"{archive}: holds more than {maxBytes} bytes unpacked; the archive is refused (--max-unpacked allows more)");
            members.Add((entry, Path.GetRelativePath(root, Path.GetFullPath(Path.Combine(root, name)))));
        }

        if (total > (1 << 20) && total / MostRatio > packed)
            throw new DatasetException($"{archive}: {packed} bytes claim to hold {total}, which pictures cannot; the archive is refused");
        return members;
    }

    private static long Copy(ZipArchiveEntry entry, string target, long left, string archive)
    {
        using Stream from = entry.Open();
        using FileStream to = File.Create(target);
        byte[] buffer = new byte[CopyBytes];
        long written = 0;
        uint crc = 0;
        for (int read = from.Read(buffer); read > 0; read = from.Read(buffer))
        {
            written += read;
            if (written > entry.Length || written > left) throw new DatasetException($"{archive}: member '{entry.FullName}' holds more than it declares; the archive is refused");
            crc = Crc32.Append(crc, buffer.AsSpan(0, read));
            to.Write(buffer, 0, read);
        }

        if (written == entry.Length && crc != entry.Crc32) throw new DatasetException($"{archive}: member '{entry.FullName}' is damaged (its checksum differs); copy the archive again");
        if (written != entry.Length) throw new DatasetException($"{archive}: member '{entry.FullName}' is cut off after {written} of {entry.Length} bytes; copy the archive again");
        return written;
    }

    private static void Move(string from, string to)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Move(file, target, overwrite: true);
        }
    }
}
