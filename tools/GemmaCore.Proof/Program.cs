using System.Globalization;
using GemmaCore.Proof;
using GemmaCore.Proof.Serving;
using GemmaCore.Testing.Medical;

// The scripts of tools/ call this; each table is Markdown, and the exit code is 0 when everything held.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
switch (args)
{
    case ["parity", var log]: return ParityTable.Print(log);
    case ["medgemma-4b", var folder]: return WholeMedGemma.Compare(folder);
    case ["planned", var folder, var layers]: return PlannedCards.Print(folder, int.Parse(layers));
    case ["fuzz", var inputs, var seed, var targets]: return FuzzTable.Print(long.Parse(inputs), int.Parse(seed), targets);
    case ["load", var seconds, var clients, var seed]: return await LoadTest.RunAsync(int.Parse(seconds), int.Parse(clients), int.Parse(seed));
    case ["eval-load", var rows, var resamples]: return EvaluationLoad.Print(int.Parse(rows), int.Parse(resamples));
    case ["codec-pictures", var folder]: return CodecPictures.Write(folder, CodecPicture.All);
    case ["codec-pictures", var folder, "radiograph"]: return CodecPictures.Write(folder, [CodecPicture.Radiograph]);
    case ["radiograph", var folder]: return RadiographSpeed.Print(folder);
    case ["serve", ..]: return await ServingSpeed.RunAsync(args[1..]);
    default:
        Console.Error.WriteLine("usage: proof parity LOG | medgemma-4b FOLDER | planned FOLDER LAYERS | fuzz INPUTS SEED TARGETS | load SECONDS CLIENTS SEED | eval-load ROWS RESAMPLES | codec-pictures FOLDER [radiograph] | radiograph FOLDER | serve [MODEL] [NAME=N...] (see tools/*.sh)");
        return 2;
}
