namespace GemmaCore.Checkpoints.Hub;

/// <summary>Where a finished download is.</summary>
/// <param name="Folder">Folder with the files under their own names.</param>
/// <param name="Commit">Commit id the revision stood at.</param>
/// <param name="Files">Names of the chosen files.</param>
/// <param name="TotalBytes">Their size together.</param>
/// <param name="ReceivedBytes">Bytes that came over the network this time.</param>
public sealed record HubSnapshot(string Folder, string Commit, IReadOnlyList<string> Files, long TotalBytes, long ReceivedBytes);

/// <summary>A moment of a download, for a progress line.</summary>
/// <param name="File">Name of the file under way; empty while the list of files is asked for.</param>
/// <param name="FileIndex">Its position among the chosen files, from 0.</param>
/// <param name="FileCount">Number of chosen files.</param>
/// <param name="Bytes">Bytes of this file on disk.</param>
/// <param name="TotalBytes">Size of this file.</param>
/// <param name="Note">Why the transfer waits or starts over, or null.</param>
/// <param name="IsFinished">The file is complete, checked and has its name.</param>
public readonly record struct HubProgress(string File, int FileIndex, int FileCount, long Bytes, long TotalBytes, string? Note = null, bool IsFinished = false);
